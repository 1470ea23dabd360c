"""`sql --engine duckdb`: what is answered as Spark would, and what is refused or fails, each with its sentence.

`tests/jobs/test_engines.py` holds the answers of both engines to each other.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from jobs.errors import JobError
from jobs.lake.translated import answer
from jobs.lake.view import LakeView
from schemas import BY_NAME
from tests.conftest import Command
from tests.jobs.test_catalog import REACHES_OUT, WRITES

SPARK = "use --engine spark"
QUERIES_ONLY = f"DuckDB's engine runs queries only, SELECT or WITH; {SPARK}"
BY_JOBS = "the statement holds more than a query; tables are written by jobs alone"


@pytest.fixture(scope="module")
def view(finished_root: str) -> LakeView:
    return LakeView(finished_root)


def one(view: LakeView, text: str) -> Any:
    [[value]] = answer(view, text).values
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("SELECT count(*) FROM gold.curated", 30),
        ("SELECT count(*) FROM gold.curated VERSION AS OF 0", 17),
        ("SELECT count(*) FROM Gold.Curated VERSION AS OF 1 c WHERE c.score > 0", 30),
        ("SELECT (SELECT count(*) FROM gold.curated) - (SELECT count(*) FROM `gold`.curated VERSION AS OF 0)", 13),
        ("SELECT count(curated.score) FROM spark_catalog.gold.curated VERSION AS OF 0", 17),
        ("WITH mine AS (SELECT 1 AS x) SELECT x FROM MINE", 1),
        ("SELECT pairs FROM drift;", 60),
        ("SELECT /*+ BROADCAST(c) */ count(*) FROM gold.curated c", 30),
        ("SELECT d.pairs FROM drift d", 60),
        ("SELECT method_digests[0] FROM gold.curated LIMIT 1", "likelihood_gain-1"),
        ("SELECT CAST(3.7 AS INT) + CAST(-3.7D AS INT) + int(2.5)", 2),
        ("SELECT CAST('12' AS INT) + CAST(true AS INT)", 13),
        ("SELECT CAST(CAST(9007199254740993 AS BIGINT) AS BIGINT)", 9007199254740993),
        ("SELECT try_cast('x' AS INT)", None),
        ("SELECT 7 / 2", 3.5),
        ("SELECT 7 div 2 + 7 % 4", 6),
        ("SELECT 'a_b' LIKE 'a\\\\_b' AND NOT 'axb' LIKE 'a\\\\_b'", True),
        ("SELECT 'a' || \"b\"", "ab"),
        ("SELECT concat('a', null)", None),
        ("SELECT first(x) FROM (SELECT x FROM VALUES (1), (null) AS t(x) ORDER BY x)", None),
        ("SELECT count(DISTINCT a, b) FROM VALUES (1, 2), (1, 2), (1, null) AS t(a, b)", 1),
        ("SELECT date_format(started_at, 'yyyy-MM-dd HH') FROM ops.runs ORDER BY started_at LIMIT 1", "2026-01-02 03"),
        ("SELECT dropped['too_short'] FROM ops.runs WHERE job = 'extract-segments' AND n_in > 0", 80),
    ],
)
def test_a_query_is_answered_as_spark_would(view: LakeView, text: str, value: object) -> None:
    assert one(view, text) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT * FROM gold.curatd", "gold.curatd is not a table of this lake; did you mean gold.curated?"),
        ("SELECT pair_i FROM gold.curated", "there is no column pair_i in gold.curated; did you mean pair_id?"),
        ("SELECT c.pair_i FROM gold.curated c", "there is no column pair_i in gold.curated; did you mean pair_id?"),
        ("SELECT 1 FROM gold.curated JOIN silver.scores USING (pair_ids)", "there is no column pair_ids in gold.curated, silver.scores; did you mean pair_id?"),
        ("SELECT 1 AS a WHERE b = 1", "there is no column b in the query"),
        ("SELECT * FROM read_csv('/etc/passwd')", f"DuckDB's engine reads the lake's tables only, not READ_CSV('/etc/passwd'); {SPARK}"),
        ("SELECT * FROM range(3)", f"DuckDB's engine reads the lake's tables only, not RANGE(3); {SPARK}"),
        ("SELECT * FROM duckdb_settings()", f"DuckDB's engine reads the lake's tables only, not DUCKDB_SETTINGS(); {SPARK}"),
        ("SELECT 1; SELECT 2", "2 statements; give one query"),
        ("SHOW TABLES", QUERIES_ONLY),
        ("DESCRIBE gold.curated", QUERIES_ONLY),
        ("DELETE FROM gold.curated", QUERIES_ONLY),
        ("DROP TABLE gold.curated", QUERIES_ONLY),
        ("SET memory_limit = '1TB'", QUERIES_ONLY),
        ("PRAGMA database_list", QUERIES_ONLY),
        ("ATTACH 'x.db'", "DuckDB's engine cannot read the statement: "),
        ("COPY gold.curated TO 'x.csv'", QUERIES_ONLY),
        ("SELECT TRANSFORM(pair_id) USING 'touch x' AS (x) FROM gold.curated", BY_JOBS),
        ("SELECT FROM x y z", f"DuckDB's engine cannot read the statement: Invalid expression / Unexpected token at line 1, column 17; {SPARK}"),
        ("SELECT 'a", f"DuckDB's engine cannot read the statement: Error tokenizing 'SELECT ''; {SPARK}"),
        ("SELECT * FROM gold.curated TIMESTAMP AS OF '2026-01-01'", f"DuckDB's engine takes VERSION AS OF and a number; {SPARK}"),
        ("SELECT hash(url) FROM gold.curated", f"the function hash gives other values in DuckDB; {SPARK}"),
        ("SELECT 1 FROM gold.curated LATERAL VIEW OUTER explode(method_digests) e AS d", f"DuckDB's engine does not support LATERAL VIEW OUTER; {SPARK}"),
        ("SELECT n_in / n_calls FROM ops.runs", f"DuckDB cannot answer this query: Invalid Input Error: division by zero; {SPARK}"),
        ("SELECT CAST(url AS INT) FROM gold.curated", "DuckDB cannot answer this query: Conversion Error: Could not convert string 'https://docs.example.org/' to "),
        ("SELECT reflect('a', 'b')", 'DuckDB cannot answer this query: Catalog Error: Scalar Function with name reflect does not exist! Did you mean "repeat"?; ' + SPARK),
    ],
)  # fmt: skip
def test_refused_queries_give_one_sentence(view: LakeView, text: str, said: str) -> None:
    with pytest.raises(JobError) as refused:
        list(answer(view, text).values)
    assert str(refused.value).startswith(f"sql: {said}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", WRITES + REACHES_OUT)
def test_queries_that_spark_refuses_are_refused(view: LakeView, text: str) -> None:
    with pytest.raises(JobError, match=r"^sql: [^\n]*$"):
        list(answer(view, text).values)


def test_an_unknown_version(view: LakeView, finished_root: str) -> None:
    with pytest.raises(JobError) as refused:
        answer(view, "SELECT * FROM gold.curated VERSION AS OF 7")
    assert str(refused.value) == f"gold.curated: no version 7 in {finished_root}; its versions are 0 to 1"


@pytest.mark.parametrize("words", [["--engine", "duckdb"], []])
def test_sql_looks_for_the_lake_before_spark_is_started(words: list[str], tmp_path: Path, look: Command) -> None:
    said = look("sql", "SELECT 1", "--lake", tmp_path / "none", *words)
    assert said.code == 1
    assert said.err == f"humpback: {tmp_path}/none: no such folder; name the lake that `humpback run` wrote\n"


def test_rows_print_as_they_do_by_spark(look: Command, finished_root: str) -> None:
    asked = "SELECT job, n_in, started_at, dropped FROM ops.runs WHERE job = 'curate' ORDER BY started_at LIMIT 1"
    words = ("sql", asked, "--engine", "duckdb", "--lake", finished_root)
    assert look(*words).out.splitlines() == [
        "job    n_in started_at          dropped                                    ",
        "curate   60 2026-01-02 03:05:00 {'below_threshold': 33, 'gate_expected': 9}",
    ]
    assert json.loads(look(*words, "--json").out) == {
        "job": "curate", "n_in": 60, "started_at": "2026-01-02T03:05:00.000Z",
        "dropped": {"below_threshold": 33, "gate_expected": 9},
    }  # fmt: skip


def test_a_missing_data_file_is_not_reported_as_a_dialect_error(tmp_path: Path, finished_root: str) -> None:
    shutil.copytree(finished_root, tmp_path / "lake")
    for file in (tmp_path / "lake" / BY_NAME["silver.scores"].path).glob("*.parquet"):
        file.unlink()
    assert DeltaTable(str(tmp_path / "lake" / "silver" / "scores")).version() == 1
    with (
        LakeView(str(tmp_path / "lake")) as view,
        pytest.raises(JobError, match=r"silver\.scores cannot be read: .*; `humpback audit`"),
    ):
        list(answer(view, "SELECT * FROM silver.scores").values)
