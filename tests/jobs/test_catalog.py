"""Tables by name, their history, and a vacuum that keeps released versions."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import deltalake
import duckdb
import polars
import pytest
from pyspark.sql import SparkSession

from jobs.errors import JobError
from jobs.lake import audit, catalog, contents, jvm, local
from jobs.lake.queries import require_reading
from jobs.lake.rows import rows_of_frame
from jobs.lake.runs import Run
from jobs.lake.tables import COMMIT, Lake
from jobs.lake.view import LakeView
from jobs.lake.writing import RunLake
from schemas import TABLES
from schemas.bronze import COMPLETIONS
from schemas.gold import CURATED, TRAINING_EXAMPLES
from schemas.ops import MODELS, QUARANTINE, RELEASES, RUNS
from schemas.silver import SCORES
from schemas.table import ROW_TRACKING, Table
from tests.planted import plant

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
    assert not lake.exists(SCORES), "a query writes nothing"


def test_sql_runs_show_and_describe(open_lake) -> None:
    lake = open_lake()
    in_gold = catalog.sql(lake, "SHOW TABLES IN gold").where("NOT isTemporary")  # other tests' session has views too
    shown = {row.tableName for row in in_gold.collect()}
    assert shown == {table.name.split(".")[1] for table in TABLES if table.name.startswith("gold.")}
    assert {"score", "threshold"} <= {row.col_name for row in catalog.sql(lake, "DESCRIBE gold.curated").collect()}
    assert catalog.sql(lake, "DESCRIBE SCHEMA ops").count() > 0
    assert "OneRowRelation" in str(catalog.sql(lake, "EXPLAIN SELECT 1").collect())
    assert [row[0] for row in catalog.sql(lake, "WITH one AS (SELECT 1) TABLE one").collect()] == [1]
    assert [row[0] for row in catalog.sql(lake, "VALUES 1").collect()] == [1]


READS = [
    "SELECT scorer, count(*) FILTER (WHERE score > 0) AS n FROM gold.curated c WHERE pair_id LIKE 'a%' GROUP BY 1 "
    "HAVING n > 0 ORDER BY n LIMIT 3 OFFSET 0",
    "SELECT *, row_number() OVER (PARTITION BY url ORDER BY pair_id) AS r FROM gold.curated QUALIFY r = 1",
    "SELECT sum(score) OVER w FROM gold.curated WINDOW w AS (PARTITION BY upper(url) ORDER BY pair_id)",
    "WITH one AS (SELECT 1 AS x), two AS (SELECT * FROM one) SELECT * FROM two JOIN ONE USING (x)",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r",
    "TABLE gold.curated",
    "VALUES (1, upper('a')), (2, 'b')",
    "SELECT 1 UNION SELECT 2 EXCEPT SELECT 3 INTERSECT SELECT 4",
    "SELECT d FROM gold.curated LATERAL VIEW OUTER explode(method_digests) e AS d",
    "SELECT * FROM gold.curated, LATERAL explode(method_digests)",
    "SELECT * FROM gold.curated c, LATERAL (SELECT c.score + 1 AS z)",
    "SELECT * FROM (SELECT scorer, score FROM gold.curated) PIVOT (count(*) FOR scorer IN ('rubric', 'expected'))",
    "SELECT * FROM (SELECT pair_id, score, threshold FROM gold.curated) UNPIVOT (v FOR n IN (score, threshold))",
    "SELECT * FROM gold.curated VERSION AS OF 1",
    "SELECT * FROM spark_catalog.gold.curated TIMESTAMP AS OF '{committed}'",
    "SELECT /*+ BROADCAST(c), REPARTITION(2), REBALANCE */ * FROM Gold.Curated TABLESAMPLE (90 PERCENT) c",
    "SELECT pair_id FROM gold.curated WHERE (experiment, score) IN (SELECT experiment, max(score) FROM gold.curated "
    "GROUP BY 1) AND NOT EXISTS (SELECT 1 FROM silver.scores)",
    "SELECT transform(method_digests, x -> x || '!'), m['k'], CAST(score AS int)::string "
    "FROM gold.curated CROSS JOIN (SELECT map('k', 1) AS m)",
    "SELECT url, sum(score), grouping(url) FROM gold.curated GROUP BY ROLLUP (url) SORT BY 1",
    "FROM gold.curated |> WHERE score > 0 |> EXTEND score + 1 AS z |> AGGREGATE sum(z) GROUP BY url",
    "SELECT regexp_extract(url, '//(.*)', 1), from_json('{}', 'a int'), now(), uuid(), system.builtin.abs(score), "
    "percentile_cont(0.5) WITHIN GROUP (ORDER BY score) FROM gold.curated GROUP BY ALL",
    "SELECT * FROM range(3) UNION ALL SELECT 1",
    "SELECT * EXCEPT (url) FROM gold.curated DISTRIBUTE BY pair_id",
    "SELECT * FROM drift",
    "EXPLAIN EXTENDED SELECT * FROM gold.curated",
    "SHOW TABLES IN gold",
    "SHOW DATABASES",
    "SHOW COLUMNS IN gold.curated",
    "SHOW TBLPROPERTIES gold.curated",
    "SHOW PARTITIONS gold.curated",
    "SHOW FUNCTIONS",
    "DESCRIBE TABLE EXTENDED gold.curated",
    "DESCRIBE gold.curated score",
    "DESCRIBE SCHEMA gold",
    "DESCRIBE QUERY SELECT * FROM gold.curated",
    "DESCRIBE FUNCTION upper",
    "DESCRIBE HISTORY gold.curated",
    "DESCRIBE DETAIL gold.curated",
]
WRITES = [
    "DELETE FROM gold.curated",
    "UPDATE gold.curated SET score = 5",
    "MERGE INTO gold.curated a USING gold.curated b ON true WHEN MATCHED THEN DELETE",
    "INSERT INTO gold.curated SELECT * FROM gold.curated",
    "INSERT OVERWRITE gold.curated SELECT * FROM gold.curated WHERE false",
    "INSERT INTO gold.curated REPLACE WHERE true SELECT * FROM gold.curated WHERE false",
    "WITH all AS (SELECT * FROM gold.curated) INSERT INTO gold.curated SELECT * FROM all",
    "FROM gold.curated INSERT INTO gold.curated SELECT *",
    "FROM gold.curated INSERT INTO gold.curated SELECT * INSERT INTO gold.curated SELECT * WHERE score > 0",
    "INSERT OVERWRITE DIRECTORY '{folder}/out' USING csv SELECT pair_id FROM gold.curated",
    "EXECUTE IMMEDIATE 'DELETE FROM gold.curated'",
    "EXECUTE IMMEDIATE 'SELECT 1'",
    "EXPLAIN EXECUTE IMMEDIATE 'DELETE FROM gold.curated'",
    "EXPLAIN DELETE FROM gold.curated",
    "BEGIN DELETE FROM gold.curated; END",
    "BEGIN IF true THEN DELETE FROM gold.curated; END IF; END",
    "CREATE TABLE gold.other AS SELECT 1",
    "CREATE OR REPLACE TABLE gold.curated AS SELECT 1",
    "CREATE TABLE gold.other SHALLOW CLONE gold.curated",
    "CREATE VIEW gold.seen AS SELECT * FROM gold.curated",
    "CREATE TEMPORARY VIEW passwords USING text OPTIONS (path '/etc/passwd')",
    "CREATE TEMPORARY FUNCTION f AS 'org.example.F' USING JAR '/tmp/f.jar'",
    "CREATE TEMPORARY FUNCTION f(x INT) RETURNS INT RETURN x",
    "CREATE DATABASE other",
    "DROP TABLE gold.curated",
    "DROP DATABASE gold CASCADE",
    "TRUNCATE TABLE gold.curated",
    "ALTER TABLE gold.curated SET TBLPROPERTIES ('a' = 'b')",
    "ALTER TABLE gold.curated DROP CONSTRAINT score",
    "COMMENT ON TABLE gold.curated IS 'x'",
    "OPTIMIZE gold.curated",
    "VACUUM gold.curated RETAIN 0 HOURS",
    "RESTORE TABLE gold.curated TO VERSION AS OF 0",
    "REORG TABLE gold.curated APPLY (PURGE)",
    "CONVERT TO DELTA parquet.`{folder}`",
    "GENERATE symlink_format_manifest FOR TABLE gold.curated",
    "ANALYZE TABLE gold.curated COMPUTE STATISTICS",
    "CACHE TABLE seen AS SELECT * FROM gold.curated",
    "REFRESH TABLE gold.curated",
    "MSCK REPAIR TABLE gold.curated",
    "LOAD DATA LOCAL INPATH '/etc/passwd' INTO TABLE gold.curated",
    "ADD JAR '/tmp/f.jar'",
    "SET spark.databricks.delta.retentionDurationCheck.enabled = false",
    "RESET",
    "USE gold",
    "DECLARE VARIABLE x INT",
    "CALL system.clean()",
]
REACHES_OUT = [
    "SELECT reflect('java.lang.System', 'setProperty', 'humpback', 'was here')",
    "SELECT java_method('java.lang.System', 'setProperty', 'humpback', 'was here')",
    "SELECT try_reflect('java.lang.System', 'setProperty', 'humpback', 'was here')",
    "SELECT system.builtin.reflect('java.lang.System', 'setProperty', 'humpback', 'was here')",
    "SELECT IDENTIFIER('ref' || 'lect')('java.lang.System', 'setProperty', 'humpback', 'was here')",
    "WITH a AS (SELECT reflect('java.lang.System', 'setProperty', 'humpback', 'was here')) SELECT * FROM a",
    "SELECT sum(1) OVER w FROM gold.curated "
    "WINDOW w AS (ORDER BY reflect('java.lang.System', 'setProperty', 'humpback', 'was here'))",
    "SELECT * FROM gold.curated TIMESTAMP AS OF reflect('java.lang.System', 'setProperty', 'humpback', 'was here')",
    "SELECT 1 WHERE EXISTS (SELECT reflect('java.lang.System', 'setProperty', 'humpback', 'was here'))",
    "EXPLAIN SELECT reflect('java.lang.System', 'setProperty', 'humpback', 'was here')",
    "SELECT TRANSFORM(pair_id) USING 'touch {folder}/touched' AS (x) FROM gold.curated",
    "FROM gold.curated MAP pair_id USING 'touch {folder}/touched'",
    "SELECT xpath_string('<!DOCTYPE a SYSTEM \"http://127.0.0.1:9/x\"><a>1</a>', 'a')",
    "SELECT from_xml('<a>1</a>', 'a int', map('rowValidationXSDPath', '/etc/passwd'))",
    "SELECT from_avro(x'00', '\"int\"')",
    "SELECT from_protobuf(x'00', 'M', '/etc/passwd')",
    "SELECT nowhere.f(1)",
    "SELECT * FROM read_files('/etc/passwd')",
    "SELECT * FROM table_changes_by_path('{folder}', 0)",
    "SELECT * FROM python_worker_logs()",
    "SELECT * FROM text.`/etc/passwd`",
    "SELECT * FROM csv.`http://127.0.0.1:9/x`",
    "SELECT 1 WHERE 'root' IN (SELECT value FROM text.`/etc/passwd`)",
    "EXPLAIN SELECT * FROM text.`/etc/passwd`",
    "DESCRIBE DETAIL '{folder}'",
    "DESCRIBE delta.`{folder}`",
    "SELECT * FROM gold.curated WITH ('path' = '/etc')",
    "SELECT * FROM STREAM gold.curated",
    "SELECT * FROM elsewhere.secrets",
]


def test_sql_runs_every_kind_of_query(open_lake, subtests: pytest.Subtests) -> None:
    lake = open_lake()
    curate(lake, 3, "a")
    newest = lake.state(CURATED)
    assert newest is not None
    for text in READS:
        with subtests.test(text):
            catalog.sql(lake, text.replace("{committed}", f"{newest.committed_at:%F %T.%f}")).collect()


def test_sql_refuses_writes_and_outside_access(open_lake, tmp_path: Path) -> None:
    lake = open_lake()
    curate(lake, 3, "a")
    (tmp_path / "out").mkdir()
    before = sorted(tmp_path.rglob("*"))
    rows = lake.read(CURATED).orderBy("pair_id").collect()
    assert [text for text in (*WRITES, *REACHES_OUT) if not refused(lake, text.format(folder=tmp_path))] == []
    assert lake.version(CURATED) == 1
    assert lake.read(CURATED).orderBy("pair_id").collect() == rows
    assert sorted(tmp_path.rglob("*")) == before
    [said] = lake.spark.sql("SELECT reflect('java.lang.System', 'getProperty', 'humpback')").first()
    assert said == "null", "no code named by a query was run"


def refused(lake: RunLake, text: str) -> bool:
    """Return whether `sql` refuses the statement with a one-line error."""
    try:
        catalog.sql(lake, text).collect()
    except JobError as error:
        return str(error).startswith("sql: ") and "\n" not in str(error)
    return False


def test_a_refusal_names_the_forbidden_operation(open_lake) -> None:
    for text, said in {
        "DELETE FROM gold.curated": "the statement holds DeleteFromTable; .* tables are written by jobs alone",
        "SELECT xpath('<a/>', 'a')": "the function xpath is not run",
        "SELECT * FROM text.`/etc/passwd`": r"text\./etc/passwd is not a table of this lake, which has bronze\.documents",
    }.items():
        with pytest.raises(JobError, match=said):
            catalog.sql(open_lake(), text)


def test_a_view_that_runs_code_is_refused_after_analysis(spark: SparkSession) -> None:
    spark.udf.register("ours", lambda: 1, "int")
    for text in ("ours()", "reflect('java.lang.System', 'nanoTime')"):
        with pytest.raises(JobError, match=r"the statement holds (PythonUDF|CallMethodViaReflection)"):
            require_reading(jvm.analysed(spark.sql(f"SELECT {text}")))


def test_spark_settings_are_not_substituted_in_queries(open_lake) -> None:
    assert catalog.sql(open_lake(), "SELECT '${spark.app.name}'").first()[0] == "${spark.app.name}"


def test_a_metastore_table_of_another_lake_is_not_replaced(spark: SparkSession, open_lake, tmp_path: Path) -> None:
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


def test_delta_rs_reports_tables_that_spark_wrote(open_lake) -> None:
    lake = open_lake(iteration=1)
    curate(lake, 3, "a")
    with LakeView(lake.root) as view:
        found = {row["name"]: row for row in contents.tables(view)}
        commits = contents.history(view, "gold.curated")
        newest = dict(zip(commits.columns, next(iter(commits.values)), strict=True))
    assert (found["gold.curated"]["version"], found["gold.curated"]["rows"]) == (1, 3)
    assert (newest["version"], newest["operation"], newest["rows"]) == (1, "WRITE", 3)
    assert (newest["job"], newest["iteration"], newest["run_id"]) == ("test", 1, lake.run.run_id)


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
    with LakeView(lake.root) as view:
        commits = contents.history(view, "gold.curated")
        assert next(iter(commits.values))[commits.columns.index("run_id")] == lake.run.run_id


def test_vacuum_keeps_the_version_that_a_model_was_trained_on(open_lake) -> None:
    lake = open_lake()
    for text in "abc":
        row = ("test/forward-1", text, "", "Why?", text, "seed", "s", "train")
        rows = lake.spark.createDataFrame([row], TRAINING_EXAMPLES.schema)
        lake.write(TRAINING_EXAMPLES, rows, slice={"dataset": "test/forward-1"})
    newest = lake.version(TRAINING_EXAMPLES)
    trained_on = newest - 2
    release(lake, TRAINING_EXAMPLES, newest)
    model = ("forward-1-a", "test", "forward", 1, "base", "m", "d", "test/forward-1", trained_on, 1, "c", "s", {}, "r")
    plant(lake.root, MODELS, [dict(zip(MODELS.columns, model, strict=True))])
    [removed] = catalog.vacuum(lake, grace_hours=0)
    assert (removed.kept_versions, len(removed.files)) == ((trained_on, newest), 1)
    assert lake.read(TRAINING_EXAMPLES, trained_on).toPandas().completion.tolist() == ["a"]


def test_vacuum_leaves_young_files_and_tables_without_a_release(open_lake) -> None:
    lake = open_lake()
    first = curate(lake, 3, "a")
    curate(lake, 4, "b")
    assert catalog.vacuum(lake, grace_hours=0) == []
    release(lake, CURATED, first + 1)
    assert catalog.vacuum(lake) == []
    assert lake.read(CURATED, first).count() == 3


def test_vacuum_handles_escaped_partition_values(open_lake) -> None:
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
    with pytest.raises(JobError, match="s3a://bucket/lake is not a local path"):
        catalog.vacuum(RunLake(spark, "s3a://bucket/lake", open_lake().run))


def test_rows_of_spark_are_plain_values(spark: SparkSession) -> None:
    asked = "SELECT 1 AS a, 'x' AS a, map('k', 2) AS m, array(struct(1.5D AS b)) AS s, timestamp'2026-01-02' AS t"
    answer = rows_of_frame(spark.sql(f"{asked} UNION ALL {asked}"), limit=1)
    assert answer.columns == ["a", "a", "m", "s", "t"]
    assert [*answer.values] == [[1, "x", {"k": 2}, [{"b": 1.5}], datetime(2026, 1, 2)]]


def test_quarantine_can_be_queried(open_lake) -> None:
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


def test_read_only_commands_work_below_a_folder_with_special_characters(spark: SparkSession, tmp_path: Path) -> None:
    """Jenkins has such workspace names. Spark parses a location as a URI, and delta-rs decodes it."""
    root = tmp_path / "feature%2Fx [1] {a} #b ü" / "lake"
    lake = RunLake(spark, str(root), Run("test", "test", "0" * 16, RUNS))
    lake.create(RUNS)
    kept = curate(lake, 3, "a")
    release(lake, CURATED, kept)
    for text in "bc":
        curate(lake, 2, text)
    with LakeView(str(root)) as view:
        [about] = [row for row in contents.tables(view) if row["name"] == "gold.curated"]
        assert (about["rows"], about["version"]) == (2, lake.version(CURATED))
        commits = contents.history(view, "gold.curated")
        assert [row[commits.columns.index("rows")] for row in commits.values][:3] == [2, 2, 3]
        assert len([*contents.releases(view).values]) == 1
        assert len(view.rows(NAMES)) == 2
        assert len(view.rows(f"SELECT * FROM {view.open(CURATED, kept)}")) == 3
    assert catalog.sql(lake, NAMES).count() == 2
    assert catalog.sql(lake, f"{NAMES} VERSION AS OF {kept}").count() == 3
    assert local.versions(lake.root, [CURATED, RUNS]) == {"gold.curated": lake.version(CURATED), "ops.runs": 0}
    assert local.count_rows(lake.root, CURATED, "experiment", "test") == 2
    (removed,) = catalog.vacuum(lake, grace_hours=0)
    assert (removed.table, removed.kept_versions) == ("gold.curated", (kept,))
    assert lake.at(CURATED, kept).count() == 3
    assert all("cannot be read" not in fault for fault in audit.faults(lake.root))
    assert sorted(path.name for path in root.iterdir()) == ["gold", "ops"]
    assert [path.name for path in tmp_path.iterdir()] == [root.parent.name]
