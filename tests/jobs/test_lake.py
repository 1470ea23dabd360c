"""The one write path: conform, validate, quarantine, commit, count."""

import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, DataFrameWriter, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from jobs.errors import JobError
from jobs.lake import writing
from jobs.lake.conform import SchemaMismatchError, _cut, predicate
from jobs.lake.runs import Entry, Run
from jobs.lake.tables import Lake
from jobs.lake.writing import DuplicateKeyError, RunLake
from schemas import TABLES
from schemas.bronze import DOCUMENTS
from schemas.gold import CURATED
from schemas.ops import QUARANTINE, RUNS
from schemas.silver import DUPLICATES, SEED_PAIRS, SEGMENTS
from schemas.table import Table
from tests.conftest import OpenLake
from transforms.crawl.documents import ROWS, file_without_pages

pytestmark = pytest.mark.spark

PAIR = ("e", "a", "Why?", "Because.", "en", "faq", None, "train")


def pairs(lake: Lake, *rows: tuple[object, ...]):  # type: ignore[no-untyped-def]
    return lake.spark.createDataFrame(rows, SEED_PAIRS.schema)


def lake_writing(open_lake: OpenLake, table: Table) -> RunLake:
    lake = open_lake()
    lake.run.writes = table
    return lake


def test_append_adds_only_new_keys_and_a_second_write_commits_nothing(open_lake: OpenLake) -> None:
    lake = lake_writing(open_lake, SEED_PAIRS)
    version = lake.write(SEED_PAIRS, pairs(lake, PAIR))
    assert (lake.run.n_in, lake.run.n_out, lake.run.version) == (1, 1, version)

    again = lake_writing(open_lake, SEED_PAIRS)
    assert again.write(SEED_PAIRS, pairs(lake, PAIR)) is None
    assert (again.run.n_in, again.run.version) == (0, None)
    assert again.version(SEED_PAIRS) == version


def test_a_relative_root_is_resolved_against_the_working_directory(
    open_lake: OpenLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lake = lake_writing(open_lake, SEED_PAIRS)
    relative = RunLake(lake.spark, "lake", lake.run)
    assert relative.write(SEED_PAIRS, pairs(lake, PAIR)) is not None
    assert lake.read(SEED_PAIRS).count() == 1


def test_a_row_that_breaks_a_rule_is_quarantined_by_its_name_and_counted(open_lake: OpenLake) -> None:
    lake = lake_writing(open_lake, SEED_PAIRS)
    lake.write(
        SEED_PAIRS,
        pairs(lake, PAIR, ("e", "b", " ", "r", None, "s", None, "dev"), ("e", "c", "i", "r", None, "s", None, "test")),
    )

    assert lake.run.n_in == 3
    assert lake.run.n_out == 1
    assert lake.run.quarantined == {"instruction_not_empty": 1, "split_known": 1}
    kept = {r.row_id: (r.rule, json.loads(r.payload)["split"]) for r in lake.read(QUARANTINE).collect()}
    assert kept == {"e/b": ("instruction_not_empty", "dev"), "e/c": ("split_known", "test")}

    again = lake_writing(open_lake, SEED_PAIRS)
    again.write(SEED_PAIRS, pairs(lake, ("e", "b", " ", "r", None, "s", None, "dev")))
    assert again.run.n_in == 0, "a known defect does not count as input again"


def test_a_dropped_row_is_counted_by_reason_and_not_written(open_lake: OpenLake) -> None:
    lake = lake_writing(open_lake, SEED_PAIRS)
    rows = pairs(lake, PAIR, ("e", "b", "i", "r", None, "s", None, "dev"))
    lake.write(SEED_PAIRS, rows.withColumn("drop_reason", F.when(F.col("pair_id") == "b", "later_turn")))
    assert lake.run.dropped == {"later_turn": 1}
    assert [r.pair_id for r in lake.read(SEED_PAIRS).collect()] == ["a"]


def test_a_table_of_dropped_rows_holds_only_dropped_rows(open_lake: OpenLake) -> None:
    lake = lake_writing(open_lake, DUPLICATES)
    rows = lake.spark.createDataFrame(
        [("m", "a", None, None, None, None), ("m", "b", "a", "near", 0.9, "near")],
        "method_digest string, segment_id string, keeper_id string, kind string, jaccard double, drop_reason string",
    )
    lake.write(DUPLICATES, rows)
    assert (lake.run.n_out, dict(lake.run.dropped), dict(lake.run.quarantined)) == (1, {"near": 1}, {})
    assert [r.segment_id for r in lake.read(DUPLICATES).collect()] == ["b"]


def test_a_record_rejected_by_its_reader_keeps_its_place(open_lake: OpenLake) -> None:
    lake = lake_writing(open_lake, SEED_PAIRS)
    rejected = F.struct(
        F.lit("broken_json").alias("rule"), F.lit("expected ','").alias("detail"), F.lit("a.jsonl").alias("source_file"),
        F.lit(17).cast("bigint").alias("record_offset"), F.lit("{oops").alias("payload"),
    )  # fmt: skip
    empty = pairs(lake, PAIR, PAIR).select(*(F.lit(None).cast(f.dataType).alias(f.name) for f in SEED_PAIRS.schema))
    lake.write(SEED_PAIRS, empty.withColumn("rejected", rejected))
    rows = lake.read(QUARANTINE).orderBy("row_id").collect()
    assert [row.row_id for row in rows] == ["a.jsonl:17", "a.jsonl:17:2"], "two in one compressed member"
    assert {(row.rule, row.record_offset, row.payload) for row in rows} == {("broken_json", 17, "{oops")}


def test_replace_overwrites_only_its_slice(open_lake: OpenLake) -> None:
    lake = lake_writing(open_lake, CURATED)

    def rows(iteration: int, *ids: str):  # type: ignore[no-untyped-def]
        values = [
            ("e", iteration, i, "i", "r", "backtranslated", 5.0, "rubric", "m", ["d"], 4.5, "s", "u") for i in ids
        ]
        return lake.spark.createDataFrame(values, CURATED.schema)

    lake.write(CURATED, rows(1, "a", "b"), slice={"experiment": "e", "iteration": 1})
    lake.write(CURATED, rows(2, "a"), slice={"experiment": "e", "iteration": 2})
    lake.write(CURATED, rows(1, "c"), slice={"experiment": "e", "iteration": 1})
    found = {(r.iteration, r.pair_id) for r in lake.read(CURATED).collect()}
    assert found == {(1, "c"), (2, "a")}


def test_missing_and_mistyped_columns_are_all_named_at_once(open_lake: OpenLake) -> None:
    lake = lake_writing(open_lake, SEED_PAIRS)
    rows = pairs(lake, PAIR).drop("source").withColumn("split", F.lit(1))
    with pytest.raises(SchemaMismatchError, match="source is missing; split is int, not string"):
        lake.write(SEED_PAIRS, rows)


def test_duplicate_keys_in_one_write_are_an_error(open_lake: OpenLake) -> None:
    lake = lake_writing(open_lake, SEED_PAIRS)
    with pytest.raises(DuplicateKeyError, match="2 rows have only 1 keys"):
        lake.write(SEED_PAIRS, pairs(lake, PAIR, PAIR))
    assert not lake.exists(SEED_PAIRS)


def test_every_commit_carries_the_run(open_lake: OpenLake) -> None:
    lake = lake_writing(open_lake, SEED_PAIRS)
    lake.write(SEED_PAIRS, pairs(lake, PAIR))
    commits = lake.commits(SEED_PAIRS).collect()
    assert [commit.operation for commit in commits] == ["WRITE", "CREATE TABLE"]
    assert {json.loads(commit.userMetadata)["run_id"] for commit in commits} == {lake.run.run_id}


class Overtaken(RunLake):
    """A run whose rows are also written by another run, after the comparison with the table and before the commit."""

    def __init__(self, first: RunLake, second: RunLake) -> None:
        super().__init__(first.spark, first.root, first.run)
        self.second, self.looks_left = second, 2

    def version(self, table: Table) -> int | None:
        if table is SEED_PAIRS and self.looks_left:
            self.looks_left -= 1
            if not self.looks_left:
                self.second.write(SEED_PAIRS, pairs(self.second, PAIR))
        return super().version(table)


def test_rows_of_a_concurrent_run_are_not_written_twice(open_lake: OpenLake) -> None:
    """Two runs find the same new rows; one commits between the other's count of its rows and its commit."""
    lake_writing(open_lake, SEED_PAIRS).create(SEED_PAIRS)
    first, second = lake_writing(open_lake, SEED_PAIRS), lake_writing(open_lake, SEED_PAIRS)
    overtaken = Overtaken(first, second)
    overtaken.write(SEED_PAIRS, pairs(first, PAIR, ("e", "b", *PAIR[2:])))
    assert overtaken.looks_left == 0
    assert sorted(row.pair_id for row in first.read(SEED_PAIRS).collect()) == ["a", "b"]
    assert (first.run.n_in, first.run.n_out, second.run.n_out) == (1, 1, 1)


class Slow(RunLake):
    """A run whose commit, once begun, waits until another run has committed."""

    def __init__(self, lake: RunLake, folder: Path) -> None:
        super().__init__(lake.spark, lake.root, lake.run)
        self.committing, self.go_on = folder / "committing", folder / "go-on"

    def _commit(self, table: Table, rows: DataFrame, *how: Any) -> int:
        committing, go_on = self.committing, self.go_on

        @F.udf("string", useArrow=False)
        def slow(text: str) -> str:
            committing.touch()
            while not go_on.exists():
                time.sleep(0.05)
            return text

        one_task = rows.coalesce(1)  # leaves a core to the other run
        return super()._commit(table, one_task.withColumn("instruction", slow("instruction")), *how)


@pytest.mark.parametrize("computed", [True, False])
@pytest.mark.parametrize("table_is_there", [True, False])
def test_a_conflicting_commit_is_retried_with_the_rows_still_new(
    open_lake: OpenLake, tmp_path: Path, table_is_there: bool, computed: bool
) -> None:
    lake, other = (lake_writing(open_lake, SEED_PAIRS) for _ in range(2))
    if table_is_there:
        lake.write(SEED_PAIRS, pairs(lake, PAIR))
    slow = Slow(lake, tmp_path)
    rows = pairs(lake, PAIR, ("e", "b", *PAIR[2:]))
    with ThreadPoolExecutor(1) as pool:
        commit = pool.submit(slow.write, SEED_PAIRS, rows, computed=computed)
        while not slow.committing.exists() and not commit.done():
            time.sleep(0.05)
        other.write(SEED_PAIRS, rows)
        slow.go_on.touch()
        assert commit.result() is None, "the second attempt finds no new rows"
    assert sorted(row.pair_id for row in lake.read(SEED_PAIRS).collect()) == ["a", "b"]


def test_a_table_of_an_older_version_has_its_new_columns_empty(open_lake: OpenLake) -> None:
    lake = lake_writing(open_lake, SEED_PAIRS)
    lake.create(replace(SEED_PAIRS, schema=StructType([f for f in SEED_PAIRS.schema if f.name != "licence"])))
    assert lake.read(SEED_PAIRS).schema.fieldNames()[-1] == "licence"
    lake.write(SEED_PAIRS, pairs(lake, PAIR))
    assert [row.licence for row in lake.read(SEED_PAIRS).collect()] == [None]


@pytest.mark.parametrize("character", ["x", "\u00e9", "\u6c34", "\U0001f40b"])
def test_a_payload_is_at_most_4_kib_and_whole_characters(spark: SparkSession, character: str) -> None:
    for text in (f"a{character * 4095}", character * 1000):
        row = spark.createDataFrame([(text,)], "text string").select(_cut(F.col("text")).alias("cut")).first()
        assert row is not None
        assert text.startswith(row.cut)
        assert len(text.encode()) <= 4096 or 4092 < len(row.cut.encode()) <= 4096


def test_a_repeated_transaction_is_written_once(open_lake: OpenLake) -> None:
    lake = open_lake()
    row = lake.spark.createDataFrame([lake.run.row("ok")], RUNS.schema)
    lake.write(RUNS, row, transaction="wave-1")
    lake.write(RUNS, row, transaction="wave-1")
    assert lake.read(RUNS).count() == 1


class Forgetful(Run):
    """A run whose commits have no metadata, like those of other programs."""

    def metadata(self, transaction: str | None = None, entries: Iterable[Entry] = ()) -> str:
        return "{}"


def test_a_missing_transaction_is_an_error(open_lake: OpenLake) -> None:
    lake = open_lake()
    row = lake.spark.createDataFrame([lake.run.row("ok")], RUNS.schema)
    lake.write(RUNS, row, transaction="wave-1")
    other = RunLake(lake.spark, lake.root, Forgetful("test", "test", "0" * 16, RUNS))
    with pytest.raises(JobError, match="transaction wave-2 is not among the last 20 commits"):
        other.write(RUNS, row, transaction="wave-2")


def test_a_write_adds_new_columns_to_an_older_table(open_lake: OpenLake) -> None:
    lake = open_lake()
    lake.create(replace(RUNS, schema=StructType([f for f in RUNS.schema if f.name != "prefix_hit_rate"])))
    lake.insert(RUNS, [lake.run.row("ok") | {"prefix_hit_rate": 0.5}])
    assert [r.prefix_hit_rate for r in lake.read(RUNS).collect()] == [0.5]


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_every_rule_is_a_condition_on_the_tables_columns(open_lake: OpenLake, table: Table) -> None:
    empty = open_lake().spark.createDataFrame([], table.schema)
    for name, rule in table.rules.items():
        assert empty.select(F.expr(rule).alias(name)).schema[0].dataType.simpleString() == "boolean"


def test_a_slice_is_quoted(open_lake: OpenLake) -> None:
    assert predicate({"dataset": "o'b\\x", "iteration": 2}) == "dataset = 'o\\'b\\\\x' AND iteration = 2"


def test_the_reason_column_of_segments_is_their_own(open_lake: OpenLake) -> None:
    lake = lake_writing(open_lake, SEGMENTS)
    row = ["m", "s", "d", "u", 0, "H", 1, [], None, 10, None, None, None, "too_short"]
    lake.write(SEGMENTS, lake.spark.createDataFrame([row], SEGMENTS.schema))
    assert dict(lake.run.dropped) == {"too_short": 1}
    assert lake.read(SEGMENTS).count() == 1, "dropped pieces are recorded too"


def test_a_run_records_the_first_version_read_and_reading_writes_nothing(open_lake: OpenLake) -> None:
    lake = lake_writing(open_lake, SEED_PAIRS)
    lake.write(SEED_PAIRS, pairs(lake, PAIR))
    later = lake_writing(open_lake, SEED_PAIRS)
    later.read(SEED_PAIRS)
    later.write(SEED_PAIRS, pairs(lake, ("e", "b", *PAIR[2:])))
    later.read(SEED_PAIRS)
    assert later.run.inputs == {SEED_PAIRS.name: lake.run.version}
    assert not hasattr(Lake(lake.spark, lake.root), "write")


def test_changed_constraints_are_applied_to_existing_tables(open_lake: OpenLake) -> None:
    def declared(**rules: str) -> Table:
        return replace(SEED_PAIRS, constraints=rules)

    lake = lake_writing(open_lake, SEED_PAIRS)
    older = declared(split_known="split IN ('train', 'dev')", no_secret="instruction <> 'secret'")
    lake.write(older, pairs(lake, PAIR))
    newer = declared(split_known="split IN ('train', 'dev', 'test')", has_source="length(source) > 0")
    later = lake_writing(open_lake, SEED_PAIRS)
    later.write(newer, pairs(later, ("e", "b", "secret", "r", None, "s", None, "test")))
    state = later.state(SEED_PAIRS)
    assert state is not None
    stored = {k: v for k, v in state.properties.items() if k.startswith("delta.constraints.")}
    assert {name.rpartition(".")[2]: rule.replace(" ", "") for name, rule in stored.items()} == {
        name: rule.replace(" ", "") for name, rule in newer.constraints.items()
    }
    commits = later.version(SEED_PAIRS)
    lake_writing(open_lake, SEED_PAIRS).create(newer)
    assert later.version(SEED_PAIRS) == commits, "an up-to-date table is not changed"
    assert later.read(SEED_PAIRS).count() == 2

    third = lake_writing(open_lake, SEED_PAIRS)
    with pytest.raises(JobError, match=r"1 rows break the rule only_train, which is new in release .* e\.g\. e/b"):
        third.write(declared(only_train="split = 'train'"), pairs(third, ("e", "c", *PAIR[2:])))


def test_a_table_of_another_release_is_refused_in_one_sentence(open_lake: OpenLake) -> None:
    lake = open_lake()
    fields = [f for f in SEED_PAIRS.schema if f.name != "pair_id"] + [StructField("candidate_id", StringType(), False)]
    lake.create(replace(SEED_PAIRS, schema=StructType(fields), key=("candidate_id",)))
    for look in (open_lake().exists, open_lake().read, open_lake().create):
        with pytest.raises(
            JobError, match=r"silver.seed_pairs was written by another release .*: it lacks pair_id and has"
        ):
            look(SEED_PAIRS)


def test_a_repaired_row_is_written_and_its_quarantine_resolved(open_lake: OpenLake) -> None:
    bad, lake = ("e", "b", " ", "r", None, "s", None, "dev"), lake_writing(open_lake, SEED_PAIRS)
    lake.write(SEED_PAIRS, pairs(lake, PAIR, bad))
    again = lake_writing(open_lake, SEED_PAIRS)
    again.write(SEED_PAIRS, pairs(again, bad))
    assert (again.run.n_in, again.read(QUARANTINE).count()) == (0, 1), "a known defect does not count as input"

    mended = lake_writing(open_lake, SEED_PAIRS)
    mended.write(SEED_PAIRS, pairs(mended, ("e", "b", "Why?", *bad[3:])))
    assert (mended.run.n_in, mended.run.n_out, dict(mended.run.quarantined)) == (1, 1, {})
    assert sorted(row.pair_id for row in mended.read(SEED_PAIRS).collect()) == ["a", "b"]
    assert [row.resolved_by for row in mended.read(QUARANTINE).collect()] == [mended.run.run_id]


def test_a_relaxed_rule_admits_quarantined_rows(open_lake: OpenLake) -> None:
    strict = replace(SEED_PAIRS, constraints={"only_train": "split = 'train'"})
    dev = ("e", "b", *PAIR[2:7], "dev")
    first = lake_writing(open_lake, strict)
    first.write(strict, pairs(first, PAIR, dev))
    assert dict(first.run.quarantined) == {"only_train": 1}
    second = lake_writing(open_lake, SEED_PAIRS)
    second.write(SEED_PAIRS, pairs(second, PAIR, dev))
    assert (second.run.n_in, second.run.n_out) == (1, 1)
    third = lake_writing(open_lake, strict)
    with pytest.raises(JobError, match="1 rows break the rule only_train"):
        third.write(strict, pairs(third, ("e", "c", *PAIR[2:])))


def test_a_readable_record_resolves_the_quarantine_of_its_offset(open_lake: OpenLake) -> None:
    lake = lake_writing(open_lake, DOCUMENTS)
    lake.write(DOCUMENTS, lake.spark.createDataFrame([file_without_pages("/a.warc")], ROWS))  # type: ignore[type-var]
    page = ("d", "u", None, "i", "/a.warc", 0, "utf-8", "text/html", "<p>", "p", [], [])
    lake.write(DOCUMENTS, lake.spark.createDataFrame([page], DOCUMENTS.schema))
    assert [row.resolved_by for row in lake.read(QUARANTINE).collect()] == [lake.run.run_id]


def test_a_rewritten_slice_counts_defects_again_but_quarantines_them_once(open_lake: OpenLake) -> None:
    def write() -> RunLake:
        lake = lake_writing(open_lake, CURATED)
        row = ("e", 1, "a", " ", "r", "backtranslated", 5.0, "rubric", "m", ["d"], 4.5, "s", "u")
        rows = lake.spark.createDataFrame([row, (*row[:2], "b", "Why?", *row[4:])], CURATED.schema)
        lake.write(CURATED, rows, slice={"experiment": "e", "iteration": 1})
        return lake

    runs = [write().run for _ in range(2)]
    assert [(run.n_in, run.n_out, dict(run.quarantined)) for run in runs] == [(2, 1, {"instruction_not_empty": 1})] * 2
    assert open_lake().read(QUARANTINE).count() == 1


def test_a_failed_commit_is_not_counted(open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = lake_writing(open_lake, SEED_PAIRS)
    with monkeypatch.context() as broken:
        broken.setattr(DataFrameWriter, "save", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            lake.write(SEED_PAIRS, pairs(lake, PAIR))
    assert (lake.run.n_in, lake.run.n_out) == (0, 0)
    lake.write(SEED_PAIRS, pairs(lake, PAIR))
    (commit,) = lake.commits(SEED_PAIRS).where("operation = 'WRITE'").collect()
    row = json.loads(commit.userMetadata)["row"]
    assert (row["n_in"], row["n_out"], lake.run.n_in) == (1, 1, 1), "the commit's metadata has the row account"


def test_a_lake_path_may_contain_any_characters(spark: SparkSession, tmp_path: Path) -> None:
    older = replace(SEED_PAIRS, constraints={})
    root = str(tmp_path / "a`b %2F 'c' [d] {e} #ü")
    lake = RunLake(spark, root, Run("test", "test", "0" * 16, SEED_PAIRS))
    lake.create(older)
    lake.write(SEED_PAIRS, pairs(lake, PAIR))
    later = RunLake(spark, root, Run("test", "test", "0" * 16, SEED_PAIRS))
    later.write(SEED_PAIRS, pairs(later, ("e", "b", *PAIR[2:])))
    assert later.read(SEED_PAIRS).count() == 2


def test_compaction_keeps_every_row(open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = open_lake()
    for n in range(3):
        lake.insert(RUNS, [lake.run.row("ok") | {"run_id": str(n)}])
    lake.compact(RUNS)
    assert lake.state(RUNS).n_files == 3, "few enough"  # type: ignore[union-attr]
    monkeypatch.setattr(writing, "SMALL_FILES", 2)
    lake.compact(RUNS)
    assert lake.state(RUNS).n_files == 1  # type: ignore[union-attr]
    assert {row.run_id for row in lake.read(RUNS).collect()} == {"0", "1", "2"}
