"""Spark and DuckDB give the same answers to the documented queries."""

import math
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest

from jobs.lake.catalog import sql
from jobs.lake.rows import Rows, rows_of_frame
from jobs.lake.tables import Lake
from jobs.lake.translated import answer
from jobs.lake.view import LakeView
from tests.documented import sql_queries

pytestmark = pytest.mark.spark

DOCUMENTED = sql_queries()
OTHERS = [
    "SELECT url, score FROM gold.curated ORDER BY score DESC, pair_id LIMIT 5",
    "SELECT drop_reason, count(*) AS n, round(avg(n_chars), 2) AS mean FROM silver.segments GROUP BY 1 ORDER BY drop_reason",
    "SELECT scorer, sum(CAST(score * 10 AS INT)) AS n, min(score) AS low FROM silver.scores WHERE status = 'ok' GROUP BY 1",
    "SELECT pair_id, explode(method_digests) AS digest FROM gold.curated",
    "SELECT count_if(n_in > 0) AS n, max_by(job, started_at) AS last, sum(seconds) / count(*) AS mean FROM ops.runs",
    "SELECT *, row_number() OVER (PARTITION BY scorer ORDER BY score, pair_id) AS r FROM silver.scores QUALIFY r = 1",
    "SELECT experiment, count(DISTINCT pair_id, iteration) AS n FROM gold.curated GROUP BY 1 HAVING n > 3",
    "WITH w AS (SELECT pair_id FROM gold.curated WHERE iteration = 1) "
    "SELECT count(*) AS n FROM w LEFT ANTI JOIN gold.curated VERSION AS OF 1 c ON c.pair_id = w.pair_id AND c.iteration = 2",
    "SELECT transform(method_digests, d -> upper(d)) AS d, method_digests[1] AS one, size(method_digests) AS n FROM gold.curated",
    "SELECT date_trunc('hour', started_at) AS hour, date_format(started_at, 'yyyy-MM-dd') AS day, sum(n_calls) AS n "
    "FROM ops.runs GROUP BY ALL ORDER BY hour",
    "SELECT regexp_extract(url, '//([^/]+)/', 1) AS host, split(url, '/')[3] AS topic, count(*) AS n FROM silver.segments GROUP BY 1, 2",
]


def test_there_are_documented_queries() -> None:
    assert len(DOCUMENTED) >= 6


@pytest.fixture(scope="module")
def view(finished_root: str) -> Iterator[LakeView]:
    with LakeView(finished_root) as view:
        yield view


@pytest.mark.parametrize("text", DOCUMENTED + OTHERS)
def test_both_engines_give_the_same_answer(finished_lake: Lake, view: LakeView, text: str) -> None:
    by_spark, by_duckdb = (
        shown(found, text) for found in (rows_of_frame(sql(finished_lake, text)), answer(view, text))
    )
    assert by_spark, "an empty answer would not test the query"
    assert by_duckdb == by_spark


def shown(answer: Rows, text: str) -> list[str]:
    """Return the rows as comparable text, sorted unless the query fixes their order.

    Columns are sorted by name if all have one: with JOIN USING, the order of `*` differs between the engines.
    """
    places = range(len(answer.columns))
    if all(re.fullmatch(r"\w+", name) for name in answer.columns):
        places = sorted(places, key=lambda place: answer.columns[place])
    lines = [repr([comparable(row[place]) for place in places]) for row in answer.values]
    return lines if text in OTHERS and re.search(r"ORDER BY [^)]*$", text) else sorted(lines)


def comparable(value: Any) -> Any:
    """Return a value of either engine in comparable form: numbers of any type to ten digits."""
    if isinstance(value, dict):
        return sorted((key, comparable(one)) for key, one in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [comparable(one) for one in value]
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return float(f"{value:.10g}") if math.isfinite(value) else str(value)
    return value
