"""Tables by name, their history, and a vacuum that keeps what is released."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import deltalake
import duckdb
import polars
import pytest
from pyspark.sql import SparkSession

from jobs.cli.printing import as_json_lines, as_text
from jobs.errors import JobError
from jobs.lake import audit, catalog, local
from jobs.lake.runs import Run
from jobs.lake.tables import COMMIT, Lake
from jobs.lake.writing import RunLake
from schemas import TABLES
from schemas.bronze import COMPLETIONS
from schemas.gold import CURATED, TRAINING_EXAMPLES
from schemas.ops import QUARANTINE, RELEASES, RUNS
from schemas.silver import SCORES
from schemas.table import ROW_TRACKING, Table

pytestmark = pytest.mark.spark

NAMES = "SELECT pair_id FROM gold.curated"


def curate(lake: RunLake, n: int, text: str) -> int:
    row = ("Why?", "So.", "backtranslated", 1.0, "rubric", "forward-0-a", ["d"], 0.5, "s", "https://example.org/")
    rows = lake.spark.createDataFrame([("test", 1, f"{text}{i}", *row) for i in range(n)], CURATED.schema)
    version = lake.write(CURATED, rows, slice={"experiment": "test", "iteration": 1})
    assert version is not None
    return version


def release(lake: RunLake, table: Table, version: int) -> None:
    published = datetime(2026, 1, 1, tzinfo=UTC)
    row = (f"r{version}", table.name, "test", 1, "iteration = 1", version, 3, "0", None, published)
    lake.write(RELEASES, lake.spark.createDataFrame([row], RELEASES.schema))


def data_files(lake: RunLake, table: Table) -> int:
    return len(list(Path(lake.path(table)).rglob("*.parquet")))


def test_sql_reads_tables_by_name_at_a_version_and_unwritten_ones_as_empty(open_lake) -> None:
    lake = open_lake()
    first = curate(lake, 3, "a")
    curate(lake, 5, "b")
    count = "SELECT count(*) AS n FROM gold.curated"
    asked = f"{count} UNION ALL {count} VERSION AS OF {first}"
    assert [row.n for row in catalog.sql(lake, asked).collect()] == [5, 3]
    assert catalog.sql(lake, "SELECT * FROM silver.scores").collect() == []
    assert not lake.exists(SCORES), "a look writes nothing"


def test_sql_shows_things(open_lake) -> None:
    lake = open_lake()
    in_gold = catalog.sql(lake, "SHOW TABLES IN gold").where("NOT isTemporary")  # other tests' session has views too
    shown = {row.tableName for row in in_gold.collect()}
    assert shown == {table.name.split(".")[1] for table in TABLES if table.name.startswith("gold.")}
    assert {"score", "threshold"} <= {row.col_name for row in catalog.sql(lake, "DESCRIBE gold.curated").collect()}
    assert catalog.sql(lake, "DESCRIBE SCHEMA ops").count() > 0
    assert "OneRowRelation" in str(catalog.sql(lake, "EXPLAIN SELECT 1").collect())
    assert [row[0] for row in catalog.sql(lake, "WITH one AS (SELECT 1) TABLE one").collect()] == [1]
    assert [row[0] for row in catalog.sql(lake, "VALUES 1").collect()] == [1]


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM gold.curated",
        "INSERT INTO gold.curated SELECT * FROM gold.curated",
        "WITH all AS (SELECT * FROM gold.curated) INSERT INTO gold.curated SELECT * FROM all",
        "FROM gold.curated INSERT INTO gold.curated SELECT *",
        "DROP TABLE gold.curated",
        "UPDATE gold.curated SET score = 5",
        "MERGE INTO gold.curated a USING gold.curated b ON true WHEN MATCHED THEN DELETE",
        "CREATE TABLE gold.other AS SELECT 1",
        "OPTIMIZE gold.curated",
        "VACUUM gold.curated RETAIN 0 HOURS",
        "SET spark.databricks.delta.retentionDurationCheck.enabled = false",
    ],
)
def test_sql_writes_nothing(open_lake, text: str) -> None:
    lake = open_lake()
    with pytest.raises(JobError, match="tables are written by jobs alone"):
        catalog.sql(lake, text)
    assert not lake.exists(CURATED)


def test_another_lakes_table_in_a_metastore_is_left_alone(spark: SparkSession, open_lake, tmp_path: Path) -> None:
    lake = open_lake()
    other = RunLake(spark, str(tmp_path / "other"), lake.run)
    for written in (lake, other):
        written.create(CURATED)
    catalog.register(lake, [CURATED])
    catalog.register(other, [CURATED])  # the names of this session only
    persistent = SimpleNamespace(sql=spark.sql, conf={"spark.sql.catalogImplementation": "hive"})
    in_metastore = Lake(persistent, str(tmp_path / "lake"))  # type: ignore[arg-type]
    in_metastore._existing.add(CURATED.name)
    with pytest.raises(JobError, match=r"gold\.curated in this session's metastore is a table elsewhere"):
        catalog.register(in_metastore, [CURATED])
    assert catalog._is_at(other, CURATED)


def test_names_follow_the_lake_that_is_opened(spark: SparkSession, open_lake, tmp_path: Path) -> None:
    lake = open_lake()
    curate(lake, 2, "a")
    other = RunLake(spark, str(tmp_path / "other's lake"), lake.run)
    curate(other, 7, "a")
    for opened, n in ((lake, 2), (other, 7), (lake, 2)):
        assert catalog.sql(opened, "SELECT * FROM gold.curated").count() == n


def test_tables_and_history_tell_what_is_there_and_who_wrote_it(open_lake) -> None:
    lake = open_lake(iteration=1)
    curate(lake, 3, "a")
    found = {row.name: row for row in catalog.tables(lake).collect()}
    assert (found["gold.curated"].version, found["gold.curated"].rows) == (1, 3)
    assert found["gold.curated"].bytes > 0
    assert (found["silver.scores"].version, found["silver.scores"].rows) == (None, 0)
    newest = catalog.history(lake, "gold.curated").first()
    assert (newest.version, newest.operation, newest.rows) == (1, "WRITE", 3)
    assert (newest.job, newest.iteration, newest.run_id) == ("test", "1", lake.run.run_id)


def test_history_of_an_unknown_table_names_the_known_ones(open_lake) -> None:
    with pytest.raises(JobError, match=r"gold\.curate: no such table; the lake has bronze\.documents"):
        catalog.history(open_lake(), "gold.curate")


def test_history_of_an_unwritten_table_says_so(open_lake) -> None:
    with pytest.raises(JobError, match=r"gold\.curated: not written yet"):
        catalog.history(open_lake(), "gold.curated")


def test_vacuum_keeps_a_released_version_readable_and_removes_an_unreleased_ones_files(open_lake) -> None:
    lake = open_lake()
    released, forgotten, newest = curate(lake, 3, "a"), curate(lake, 4, "b"), curate(lake, 5, "c")
    release(lake, CURATED, released)
    orphan = Path(lake.path(CURATED)) / "experiment=test" / "part-of-a-crashed-write.parquet"
    orphan.write_bytes(b"PAR1")

    planned = catalog.vacuum(lake, dry_run=True, grace_hours=0)
    before = data_files(lake, CURATED)
    assert catalog.vacuum(lake, grace_hours=0) == planned
    [removed] = planned
    assert (removed.table, removed.kept_versions) == ("gold.curated", (released,))
    assert data_files(lake, CURATED) == before - len(removed.files)
    assert not orphan.exists()

    for version, n in ((released, 3), (newest, 5)):
        assert lake.read(CURATED, version).toPandas().shape == (n, len(CURATED.columns))
        assert deltalake.DeltaTable(lake.path(CURATED), version=version).to_pyarrow_table().num_rows == n
    with pytest.raises(FileNotFoundError):
        deltalake.DeltaTable(lake.path(CURATED), version=forgotten).to_pyarrow_table()

    assert catalog.vacuum(lake, grace_hours=0) == []
    assert catalog.history(lake, "gold.curated").first().run_id == lake.run.run_id


def test_vacuum_leaves_young_files_and_tables_without_a_release(open_lake) -> None:
    lake = open_lake()
    first = curate(lake, 3, "a")
    curate(lake, 4, "b")
    assert catalog.vacuum(lake, grace_hours=0) == []
    release(lake, CURATED, first + 1)
    assert catalog.vacuum(lake) == []
    assert lake.read(CURATED, first).count() == 3


def test_vacuum_knows_its_files_where_a_partition_value_needs_escaping(open_lake) -> None:
    lake = open_lake()
    for text in "ab":
        row = ("demo/forward-1", text, "", "Why?", text, "seed", "s", "train")
        rows = lake.spark.createDataFrame([row], TRAINING_EXAMPLES.schema)
        version = lake.write(TRAINING_EXAMPLES, rows, slice={"dataset": "demo/forward-1"})
    release(lake, TRAINING_EXAMPLES, version)
    [removed] = catalog.vacuum(lake, grace_hours=0)
    assert len(removed.files) == 1
    assert lake.read(TRAINING_EXAMPLES, version).toPandas().completion.tolist() == ["b"]
    assert catalog.vacuum(lake, grace_hours=0) == []


def test_vacuum_cleans_the_compacted_ledger(open_lake) -> None:
    lake = open_lake()
    short_lived = {ROW_TRACKING: "true", "delta.deletedFileRetentionDuration": "interval 0 hours"}
    lake.create(replace(COMPLETIONS, properties=short_lived))
    answer = {f.name: None for f in COMPLETIONS.schema} | {
        "request_id": "r", "run_id": lake.run.run_id, "stage": "answers", "model_id": "m", "subject_id": "s",
        "sampling": "{}", "sample": 0, "status": "ok", "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    for attempt in (1, 2):
        lake.insert(COMPLETIONS, [answer | {"attempt": attempt}])
    lake.spark.sql(f"OPTIMIZE delta.`{lake.path(COMPLETIONS)}`")
    [removed] = catalog.vacuum(lake)
    assert (removed.table, len(removed.files), data_files(lake, COMPLETIONS)) == ("bronze.completions", 2, 1)
    assert [row[COMMIT] for row in lake.with_commits(COMPLETIONS).orderBy("attempt").collect()] == [1, 2]


def test_vacuum_refuses_a_remote_lake(spark: SparkSession, open_lake) -> None:
    with pytest.raises(JobError, match="s3a://bucket/lake is no local path"):
        catalog.vacuum(RunLake(spark, "s3a://bucket/lake", open_lake().run))


def test_rows_print_as_an_aligned_table_without_terminal_escapes(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("a\x1b[31m\nb", 1), ("x" * 200, 22), (None, None)], "text string, n int")
    lines = list(as_text(frame, max_rows=2))
    assert len({len(line) for line in lines[:3]}) == 1
    assert lines[1].startswith("a [31m b")
    assert lines[2].endswith("… 22")
    assert lines[3] == "(the first 2 rows; there are more)"
    assert list(as_text(frame.where("n = 7"))) == ["(no rows)"]


def test_json_lines_hold_no_terminal_escapes(spark: SparkSession) -> None:
    [line] = as_json_lines(spark.createDataFrame([("\x9b31m\u202e!",)], "text string"))
    assert line == '{"text":"\\u009b31m\\u202e!"}'


def test_rows_print_as_json_lines_with_nulls(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        [("a\x1b\n", 1, {"k": 2}), (None, None, None)], "text string, n int, m map<string,int>"
    )
    assert [json.loads(line) for line in as_json_lines(frame)] == [
        {"text": "a\x1b\n", "n": 1, "m": {"k": 2}},
        {"text": None, "n": None, "m": None},
    ]


def test_quarantine_is_a_table_like_any_other(open_lake) -> None:
    lake = open_lake()
    assert catalog.sql(lake, "SELECT * FROM ops.quarantine").columns == QUARANTINE.columns


def test_one_table_reads_the_same_by_spark_polars_duckdb_and_delta_rs(open_lake) -> None:
    lake = open_lake()
    version = curate(lake, 3, "a")
    curate(lake, 5, "b")
    path = lake.path(CURATED)
    expected = sorted(row.pair_id for row in catalog.sql(lake, f"{NAMES} VERSION AS OF {version}").collect())
    assert expected == ["a0", "a1", "a2"]
    by_delta_rs = deltalake.DeltaTable(path, version=version).to_pyarrow_table()
    by_polars = polars.read_delta(path, version=version)
    by_duckdb = duckdb.sql("SELECT pair_id FROM by_delta_rs").fetchall()
    assert sorted(by_delta_rs["pair_id"].to_pylist()) == expected
    assert sorted(by_polars["pair_id"].to_list()) == expected
    assert sorted(row[0] for row in by_duckdb) == expected
    assert by_polars.columns == by_delta_rs.column_names == CURATED.columns


def test_every_look_works_below_a_folder_with_an_odd_name(spark: SparkSession, tmp_path: Path) -> None:
    """As Jenkins names workspaces, and worse; Spark takes a location for a URI, delta-rs decodes it."""
    root = tmp_path / "feature%2Fx [1] {a} #b ü" / "lake"
    lake = RunLake(spark, str(root), Run("test", "test", "0" * 16, RUNS))
    lake.create(RUNS)
    kept = curate(lake, 3, "a")
    release(lake, CURATED, kept)
    for text in "bc":
        curate(lake, 2, text)
    about = {row.name: row for row in catalog.tables(lake).collect()}
    assert (about["gold.curated"].rows, about["gold.curated"].version) == (2, lake.version(CURATED))
    assert [row.rows for row in catalog.history(lake, "gold.curated").collect()][:3] == [2, 2, 3]
    assert catalog.sql(lake, NAMES).count() == 2
    assert catalog.sql(lake, f"{NAMES} VERSION AS OF {kept}").count() == 3
    assert catalog.releases(lake).count() == 1
    assert local.versions(lake.root, [CURATED, RUNS]) == {"gold.curated": lake.version(CURATED), "ops.runs": 0}
    assert local.count_rows(lake.root, CURATED, "experiment", "test") == 2
    (removed,) = catalog.vacuum(lake, grace_hours=0)
    assert (removed.table, removed.kept_versions) == ("gold.curated", (kept,))
    assert lake.at(CURATED, kept).count() == 3
    assert all("cannot be read" not in fault for fault in audit.faults(lake.root))
    assert sorted(path.name for path in root.iterdir()) == ["gold", "ops"]
    assert [path.name for path in tmp_path.iterdir()] == [root.parent.name]
