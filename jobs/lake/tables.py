"""The one read and write path to the lake's Delta tables."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from expectations.rules import with_breaches
from jobs.errors import JobError
from jobs.lake import conform
from jobs.lake.files import local_path
from jobs.lake.materialised import materialised
from jobs.lake.runs import Run
from schemas.ops import QUARANTINE
from schemas.table import Table

METADATA = "spark.databricks.delta.commitInfo.userMetadata"  # of a commit that no writer makes
RECENT_COMMITS = 20  # among them is one that has just been made, whatever other writers did meanwhile


class DuplicateKeyError(ValueError):
    """Two rows with one key: a fault in the transform that made them."""


class Lake:
    """The tables below one root, read and written on behalf of one run."""

    def __init__(self, spark: SparkSession, root: str, run: Run) -> None:
        """`root` is a folder or any URI that Spark can write."""
        self.spark = spark
        local = local_path(root)
        self.root = str(local) if local else root.rstrip("/")  # Delta takes a relative path for a table's name
        self.run = run
        self._existing: set[str] = set()
        self._collected: dict[str, list[Row]] = {}

    def path(self, table: Table) -> str:
        """Where the table lies."""
        return f"{self.root}/{table.path}"

    def exists(self, table: Table) -> bool:
        """Whether the table has been created yet."""
        if table.name not in self._existing and self.version(table) is not None:
            self._existing.add(table.name)
        return table.name in self._existing

    def version(self, table: Table) -> int | None:
        """The newest version, or None where the table does not exist yet."""
        newest = int(self._snapshot(table).version())
        return newest if newest >= 0 else None

    def state(self, table: Table) -> tuple[int, datetime, int]:
        """The newest version of a table that exists, when it was committed, and the bytes of its files."""
        snapshot = self._snapshot(table)
        written = datetime.fromtimestamp(snapshot.timestamp() / 1000, UTC)
        return int(snapshot.version()), written, int(snapshot.sizeInBytes())

    def _snapshot(self, table: Table) -> Any:
        jvm: Any = self.spark._jvm  # Delta's Python API can only tell of it by jobs over the whole history
        log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(self.spark._jsparkSession, self.path(table))
        nothing = jvm.scala.Option.empty()
        return log.update(False, nothing, nothing)

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """The table's rows, at `version` or the newest; no rows where it does not exist yet.

        The version read is noted in the run, whose commits carry it.
        """
        if not self.exists(table):
            return self.spark.createDataFrame([], table.schema)
        if version is None:
            version = self.version(table)
        assert version is not None
        self.run.inputs[table.name] = version
        return self.at(table, version)

    def at(self, table: Table, version: int) -> DataFrame:
        """The rows of one version; not noted as an input."""
        return conform.widened(table, self.spark.read.format("delta").load(self.path(table), versionAsOf=version))

    def latest(self, table: Table) -> DataFrame:
        """The table's rows as they are now, for the run's own bookkeeping; not noted as an input."""
        if not self.exists(table):
            return self.spark.createDataFrame([], table.schema)
        return conform.widened(table, self.spark.read.format("delta").load(self.path(table)))

    def collected(self, table: Table) -> list[Row]:
        """All rows of a table that has one for each release, model or prompt; read once, and anew after a write."""
        if table.name not in self._collected:
            self._collected[table.name] = self.latest(table).collect()
        return self._collected[table.name]

    def commits(self, table: Table) -> DataFrame:
        """The table's last commits, as Delta tells them; none where it does not exist yet."""
        if not self.exists(table):
            return self.spark.createDataFrame([], "version bigint, userMetadata string")
        found: DataFrame = DeltaTable.forPath(self.spark, self.path(table)).history(RECENT_COMMITS)
        return found

    def create(self, table: Table) -> None:
        """Create the table where it does not exist yet, with its comments, constraints and retention."""
        if self.exists(table):
            return
        builder = DeltaTable.createIfNotExists(self.spark).location(self.path(table)).comment(table.comment)
        builder = builder.addColumns(table.schema)
        if table.partition_by:
            builder = builder.partitionedBy(*table.partition_by)
        properties = {f"delta.constraints.{name}": rule for name, rule in table.constraints.items()}
        for key, value in (properties | dict(table.properties)).items():
            builder = builder.property(key, value)
        self.spark.conf.set(METADATA, self.run.metadata())
        try:
            builder.execute()
        finally:
            self.spark.conf.unset(METADATA)

    def write(
        self,
        table: Table,
        rows: DataFrame,
        *,
        slice: Mapping[str, object] | None = None,
        transaction: str | None = None,
        computed: bool = False,
        keys_first: bool = False,
    ) -> int | None:
        """Conform, validate, quarantine, commit and count; the version written, None if nothing was new.

        `rows` may carry, beside the table's columns, `drop_reason` (a rule of the method, null for
        a row that passes) and `rejected`, a struct of the quarantine's `rule`, `detail`,
        `source_file`, `record_offset`, `payload` (null for a sound row). `slice` names the
        partition that a `replace` table swaps; `transaction` makes a repeated commit harmless;
        `computed` says that `rows` are staged or local, and need not be staged once more; `keys_first`
        that they are too wide to be moved to where their keys are compared with the table's: those
        that are there already must then fit in memory.

        Raises:
            SchemaMismatchError: `rows` lacks a column or has one of another type.
            DuplicateKeyError: two of the rows that would be written have one key.
            JobError: another run has used the name of the `transaction`.
        """
        shaped, seen = conform.conformed(table, rows), self.version(table)
        if table.write == "append":
            shaped = self._without_known(table, shaped, keys_first)
        judged = with_breaches(shaped, table.rules)
        staged = judged if computed else materialised(judged)
        passes = F.col("drop_reason").isNull()
        belongs = {"kept": passes, "dropped": ~passes, "all": F.lit(True)}[table.holds]
        # A row that is not written, because the method drops it, need not meet the rules.
        sound = F.col("rejected").isNull() & (~belongs | (F.size("breaches") == 0))
        while True:
            marked = staged.withColumn("sound", sound).withColumn("written", sound & belongs)
            groups = self._counted(table, marked)
            if table.write != "append" or (now := self.version(table)) == seen:
                break
            staged, seen = self._without_known(table, staged, keys_first), now  # another run has written meanwhile
        n_written, n_bad = self._enter(table, groups)
        if n_bad:
            self._commit(QUARANTINE, conform.quarantine_rows(table, marked.where(~F.col("sound")), self.run.run_id))
        if n_written == 0 and table.write != "replace":
            return None
        written = marked.where("written").select(*table.columns)
        if table.write == "append" and (not computed or seen is None):  # else their plan looks into the table itself
            written = self._looking(table, written)
        return self._commit(table, written, slice, transaction)

    def _without_known(self, table: Table, rows: DataFrame, keys_first: bool) -> DataFrame:
        """The rows whose key is neither in the table nor, as a defective row's, in the quarantine."""
        if self.exists(table):
            rows = conform.unmatched(rows, self.latest(table).select(*table.key), keys_first)
        if not self.exists(QUARANTINE):
            return rows
        known = self.latest(QUARANTINE).where(F.col("table") == table.name).select("row_id")
        return conform.unmatched(rows.withColumn("row_id", conform.row_id(table)), known, keys_first).drop("row_id")

    def _commit(
        self, table: Table, rows: DataFrame, slice: Mapping[str, object] | None = None, transaction: str | None = None
    ) -> int:
        self.create(table)
        writer = rows.write.format("delta").mode("append").option("userMetadata", self.run.metadata(transaction))
        writer = writer.option("mergeSchema", "true")  # a lake of an older version gets the columns it lacks
        if table.write == "replace":
            if not slice:
                raise ValueError(f"{table.name}: a replace needs the slice it replaces")
            writer = writer.mode("overwrite").option("replaceWhere", conform.predicate(slice))
        if transaction:
            writer = writer.option("txnAppId", transaction).option("txnVersion", 1)
        writer.save(self.path(table))
        self.run.commits[table.name] += 1
        self._collected.pop(table.name, None)
        version = self._version_of(table, transaction) if transaction else self.version(table)
        assert version is not None
        if table is self.run.writes:
            self.run.version = version
        return version

    def _looking(self, table: Table, rows: DataFrame) -> DataFrame:
        """The same rows, by a plan that looks for nothing in the table, which is created where it is missing.

        Delta then refuses the commit if another run's comes in between, whose rows these were not compared with.
        """
        self.create(table)
        key = table.key[-1]  # no partition column: of one, only the partitions named would count
        nothing = self.latest(table).where(F.col(key) == "").select(key)
        return rows.join(nothing, key, "left_anti").select(*rows.columns)

    def _version_of(self, table: Table, transaction: str) -> int:
        """The version that a transaction made: Delta skips a repeated one, whatever it holds."""
        mine = self.commits(table).where(F.get_json_object("userMetadata", "$.transaction") == transaction)
        commit = mine.orderBy(F.desc("version")).first()
        if commit is None:
            raise JobError(
                f"{table.name}: transaction {transaction} is not among the last {RECENT_COMMITS} commits; "
                f"another run has used its name; see humpback history {table.name}"
            )
        return int(commit.version)

    def _counted(self, table: Table, marked: DataFrame) -> list[Row]:
        """How many rows and keys there are, by the rule they break, their drop reason and whether they are written."""
        rule = F.when(~F.col("sound"), F.coalesce("rejected.rule", F.element_at("breaches", 1)))
        groups = marked.groupBy(rule.alias("rule"), "drop_reason", "written")
        return groups.agg(F.count(F.lit(1)).alias("n"), F.count_distinct(*table.key).alias("n_keys")).collect()

    def _enter(self, table: Table, groups: list[Row]) -> tuple[int, int]:
        """Enter the rows into the run's account; how many will be written and how many are bad."""
        n_written = sum(g.n for g in groups if g.written)
        n_keys = sum(g.n_keys for g in groups if g.written)
        if n_keys != n_written and table.holds != "all":
            raise DuplicateKeyError(
                f"{table.name}: {n_written:,} rows have only {n_keys:,} keys ({', '.join(table.key)})"
            )
        if table is self.run.writes:
            for g in groups:
                self.run.enter(g.n, g.rule, g.drop_reason)
        return n_written, sum(g.n for g in groups if g.rule is not None)

    def insert(self, table: Table, rows: list[dict[str, Any]]) -> None:
        """Write a few rows that this process made itself."""
        self.write(table, conform.frame_of(table, rows, self.spark), computed=True)

    def folder(self, name: str) -> Path:
        """A local folder for what is not a table (models, logs, reports): below the lake if that is local."""
        local = local_path(self.root)
        return local / name if local else Path(f"humpback-{name}")
