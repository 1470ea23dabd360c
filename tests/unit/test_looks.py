"""The commands that only look at a lake: what they print, without a JVM, and what they say of bad input."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from deltalake import write_deltalake

from jobs.lake.conform import arrow_of
from jobs.lake.view import LakeView
from schemas.bronze import CONVERSATIONS
from schemas.gold import CURATED
from schemas.ops import MODELS, QUARANTINE, RUNS
from schemas.silver import OVERLAPS
from tests.conftest import Command
from tests.jobs.synthetic_lake import FORWARD, url
from tests.planted import plant

ROOT = Path(__file__).parents[2]
LOOKS = (
    ["tables"],
    ["history", "gold.curated"],
    ["releases"],
    ["explain", url(2)],
    ["sql", "SELECT 1", "--engine", "duckdb"],
)

HEAVY = {"torch", "aiohttp", "scipy", "matplotlib", "jobs.loop.steps", "jobs.recipe.config"}


def rows(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


def test_tables_lists_versions_rows_and_sizes(look: Command, finished_root: str) -> None:
    found = {row["name"]: row for row in rows(look("tables", "--json", "--lake", finished_root).out)}
    assert (found["gold.curated"]["version"], found["gold.curated"]["rows"]) == (1, 30)
    assert found["gold.curated"]["bytes"] > 0
    assert found["gold.curated"]["last_written"].endswith("Z")
    assert (found["bronze.conversations"]["version"], found["bronze.conversations"]["rows"]) == (None, 0)


def test_rows_are_counted_if_the_log_has_no_statistics(tmp_path: Path, look: Command) -> None:
    file = tmp_path / "lake" / RUNS.path
    plant(tmp_path / "lake", MODELS, [])
    write_deltalake(str(file), arrow_of(RUNS, []).select(["run_id"]).slice(0, 0))
    for n in (2, 3):
        write_deltalake(
            str(file), arrow_of(RUNS, [{"run_id": str(k)} for k in range(n)]).select(["run_id"]), mode="append"
        )
    for log in (file / "_delta_log").glob("*.json"):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        for line in lines:
            line.get("add", {}).pop("stats", None)
        log.write_text("\n".join(map(json.dumps, lines)))
    [runs] = [
        row for row in rows(look("tables", "--json", "--lake", tmp_path / "lake").out) if row["name"] == "ops.runs"
    ]
    assert (runs["version"], runs["rows"]) == (2, 5)


def test_history_is_newest_first_and_shows_foreign_commits(look: Command, finished_root: str) -> None:
    found = rows(look("history", "gold.curated", "--json", "--lake", finished_root).out)
    assert [(row["version"], row["operation"], row["rows"], row["job"]) for row in found] == [
        (1, "WRITE", 13, None),
        (0, "WRITE", 17, None),
    ]


def test_releases_are_oldest_first(look: Command, finished_root: str) -> None:
    found = rows(look("releases", "--json", "--lake", finished_root).out)
    assert sorted((row["table"], row["version"]) for row in found) == [
        (table, version) for table in ("gold.curated", "gold.training_examples") for version in (0, 1)
    ]
    assert found[0]["published_at"] == "2026-01-02T04:00:00.000Z"


@pytest.mark.parametrize("words", [*LOOKS, ["report", "--out", os.devnull], ["diversity"]], ids=" ".join)
def test_read_only_commands_start_no_jvm(words: list[str], finished_root: str, tmp_path: Path) -> None:
    """In a process without Java, which imports none of the jobs and nothing of torch, aiohttp, scipy or matplotlib."""
    code = (
        "import sys; from jobs.__main__ import main; code = main(sys.argv[1:]); "
        "print(*sorted({m.split('.')[0] for m in sys.modules} | {m for m in sys.modules if m[:5] == 'jobs.'}), file=sys.stderr); "
        "from pyspark import SparkContext; sys.exit(code or SparkContext._gateway is not None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--lake", finished_root], cwd=ROOT, capture_output=True, text=True, check=False,
        env={k: v for k, v in os.environ.items() if k != "JAVA_HOME"} | {"PATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if words[0] not in ("report", "diversity"):
        assert set(done.stderr.split()).isdisjoint(HEAVY)


def test_a_lake_that_is_not_there(look: Command, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    there, near, far = tmp_path / "lake", tmp_path / "lakes", tmp_path / "x"
    none = "not a lake, since it has none of the tables; name the folder that `humpback run` wrote"
    for words in LOOKS:
        assert look(*words, "--lake", near).err == f"humpback: {near}: no such folder; did you mean lake?\n"
        said = f"humpback: {far}: no such folder; name the lake that `humpback run` wrote\n"
        assert (look(*words, "--lake", far).code, look(*words, "--lake", far).err) == (1, said)
        assert look(*words, "--lake", there).err == f"humpback: {there}: {none}\n"


def test_a_lake_that_is_half_written(look: Command, tmp_path: Path) -> None:
    plant(tmp_path, OVERLAPS, [])
    (tmp_path / RUNS.path / "_delta_log").mkdir(parents=True)
    assert look("tables", "--lake", tmp_path).code == 0
    assert look("releases", "--lake", tmp_path).out == "(no rows)\n"
    assert look("history", "ops.runs", "--lake", tmp_path).err == f"humpback: ops.runs: not written yet in {tmp_path}\n"
    (tmp_path / OVERLAPS.path / "_delta_log" / f"{0:020}.json").write_text('{"commitInfo":')
    for words in (["tables"], ["history", "silver.overlaps"]):
        said = look(*words, "--lake", tmp_path)
        assert said.code == 1
        assert said.err.startswith(f"humpback: {tmp_path}: silver.overlaps cannot be read: ")
        assert said.err.endswith("; `humpback audit` looks at every table\n")
        assert said.err.count("\n") == 1


def test_a_table_whose_file_is_gone(look: Command, tmp_path: Path) -> None:
    plant(tmp_path, QUARANTINE, [{"run_id": "r", "table": "t", "row_id": "i", "rule": "x"}])
    with LakeView(str(tmp_path)) as view:
        assert len(view.rows("SELECT * FROM ops.quarantine")) == 1
    for file in (tmp_path / QUARANTINE.path).rglob("*.parquet"):
        file.unlink()
    with (
        LakeView(str(tmp_path)) as view,
        pytest.raises(Exception, match=r"ops\.quarantine cannot be read: .*; `humpback audit`"),
    ):
        view.rows("SELECT * FROM ops.quarantine")


def test_an_unknown_table(look: Command, finished_root: str) -> None:
    said = look("history", "gold.curate", "--lake", finished_root)
    assert (said.code, said.err) == (1, "humpback: gold.curate: no such table; did you mean gold.curated?\n")
    said = look("history", "xyz", "--lake", finished_root)
    assert said.err.startswith("humpback: xyz: no such table; the lake has bronze.documents, ")


def test_a_lake_of_another_release(tmp_path: Path) -> None:
    write_deltalake(f"{tmp_path}/{CURATED.path}", arrow_of(CURATED, []).drop_columns(["url"]))
    with (
        LakeView(str(tmp_path)) as view,
        pytest.raises(Exception, match=r"gold\.curated was written by another release of humpback: it lacks url; use"),
    ):
        view.rows("SELECT * FROM gold.curated")


def test_read_only_commands_report_another_release_in_one_sentence(tmp_path: Path, look: Command) -> None:
    rows = arrow_of(RUNS, [])
    write_deltalake(f"{tmp_path}/{RUNS.path}", rows.drop_columns(["status"]).append_column("mood", rows["job"]))
    for words in (["report"], ["sql", "SELECT 1 FROM ops.runs", "--engine", "duckdb"]):
        said = look(*words, "--lake", tmp_path)
        assert (said.code, said.err) == (
            1,
            f"humpback: {tmp_path}: ops.runs was written by another release of humpback: it lacks status and has mood, which "
            "this release does not know; use the lake with the release that made it (code_version in ops.runs), or start a "
            "new lake: crawl files and seed can be read again, tables of release 0.1 are not converted\n",
        )


def test_a_column_that_a_later_release_added_is_null_and_a_missing_table_empty(tmp_path: Path) -> None:
    row = {"run_id": "r", "table": "t", "row_id": "i", "rule": "x", "payload": "p"}
    write_deltalake(
        f"{tmp_path}/{QUARANTINE.path}", arrow_of(QUARANTINE, [row]).drop_columns(["payload", "record_offset"])
    )
    with LakeView(str(tmp_path)) as view:
        [found] = view.rows("SELECT * FROM ops.quarantine WHERE record_offset + 1 IS NULL AND upper(payload) IS NULL")
        assert [*found] == QUARANTINE.columns
        assert view.rows("SELECT * FROM ops.models") == []


def test_each_version_is_a_separate_table(finished_root: str) -> None:
    with LakeView(finished_root) as view:
        counts = [view.rows(f"SELECT count(*) AS n FROM {view.open(CURATED, v)}")[0]["n"] for v in (0, 1, None)]
        assert counts == [17, 30, 30]
        with pytest.raises(Exception, match=r"^gold\.curated: no version 2 in .*; its versions are 0 to 1$"):
            view.open(CURATED, 2)
        with pytest.raises(
            Exception, match=r"^bronze\.conversations: no version 0 in .*; it has not been written yet$"
        ):
            view.open(CONVERSATIONS, 0)


def test_query_parameters_are_bound(finished_root: str) -> None:
    asked = "SELECT model_id FROM ops.models WHERE model_id = $id OR model_id IN (SELECT unnest($ids)) ORDER BY 1"
    with LakeView(finished_root) as view:
        assert view.rows(asked, {"id": "' OR true --", "ids": FORWARD[:1], "unused": 1}) == [{"model_id": FORWARD[0]}]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "COPY (SELECT 1) TO 'out.csv'",
        "ATTACH 'x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '1TB'",
        "SET lock_configuration = false",
    ],
)
def test_duckdb_is_locked(text: str, finished_root: str) -> None:
    with (
        LakeView(finished_root) as view,
        pytest.raises(Exception, match=r"disabled|locked|does not exist|Cannot access"),
    ):
        view.answer(text)


def test_a_store_that_cannot_be_read_is_one_sentence_and_tells_no_secret(
    monkeypatch: pytest.MonkeyPatch, look: Command
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "s3cret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    said = look("tables", "--lake", "s3a://bucket/lake")
    assert said.code == 1
    assert said.err.startswith("humpback: s3a://bucket/lake: bronze.documents cannot be read: ")
    assert said.err.endswith(
        "; give the store's credentials in the environment, or use `humpback sql`, which runs on Spark\n"
    )
    assert said.err.count("\n") == 1
    assert "s3cret" not in said.err
