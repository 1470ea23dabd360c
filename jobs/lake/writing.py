"""The one write path: conform, validate, quarantine, commit, count."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from expectations.rules import with_breaches
from jobs.errors import JobError
from jobs.lake import conform
from jobs.lake.materialised import materialised
from jobs.lake.runs import CODE_VERSION, Run
from jobs.lake.tables import RECENT_COMMITS, Lake
from schemas.ops import QUARANTINE
from schemas.table import Table

METADATA = "spark.databricks.delta.commitInfo.userMetadata"  # of a commit that no writer makes
RELEASE = "humpback.release"  # the property of a table that says which release made it
CONSTRAINT = "delta.constraints."


class DuplicateKeyError(ValueError):
    """Two rows with one key: a fault in the transform that made them."""


class RunLake(Lake):
    """The tables below one root, read and written on behalf of one run, whose commits name what was read."""

    def __init__(self, spark: SparkSession, root: str, run: Run) -> None:
        """`root` is a folder or any URI that Spark can write."""
        super().__init__(spark, root)
        self.run = run
        run.inputs, run.methods = self.versions_read, self.methods_read
        self._reconciled: set[str] = set()

    def create(self, table: Table) -> None:
        """Create the table where it does not exist yet; give an older one the constraints that are declared now."""
        if self.exists(table):
            self._reconcile(table)
            return
        builder = DeltaTable.createIfNotExists(self.spark).location(self.path(table)).comment(table.comment)
        builder = builder.addColumns(table.schema)
        if table.partition_by:
            builder = builder.partitionedBy(*table.partition_by)
        constraints = {f"{CONSTRAINT}{name}": rule for name, rule in table.constraints.items()}
        for key, value in {RELEASE: CODE_VERSION, **constraints, **table.properties}.items():
            builder = builder.property(key, value)
        with self._named_commits():
            builder.execute()
        self._reconciled.add(table.name)

    def _reconcile(self, table: Table) -> None:
        """Replace the CHECK constraints of a table that an earlier release made by those declared now.

        Raises:
            JobError: rows of the table break a constraint that is new.
        """
        if table.name in self._reconciled:
            return
        self._reconciled.add(table.name)
        state = self.state(table)
        if state is None or RELEASE not in state.properties:
            return
        stored = {k.removeprefix(CONSTRAINT): v for k, v in state.properties.items() if k.startswith(CONSTRAINT)}
        place = f"delta.`{self.path(table)}`"
        with self._named_commits():
            for name in (name for name, rule in stored.items() if not _same(rule, table.constraints.get(name))):
                self.spark.sql(f"ALTER TABLE {place} DROP CONSTRAINT {name}")
            for name, rule in table.constraints.items():
                if not _same(rule, stored.get(name)):
                    self._add_constraint(table, name, rule)

    def _add_constraint(self, table: Table, name: str, rule: str) -> None:
        broken = self.newest(table).where(f"NOT coalesce({rule}, false)").select(conform.row_id(table).alias("id"))
        example = broken.first()
        if example is not None:
            n = broken.count()
            raise JobError(
                f"{table.name}: {n:,} rows break the rule {name}, which is new in release {CODE_VERSION}, e.g. "
                f"{example.id}: {rule}; write to the lake with the release that made it"
            )
        self.spark.sql(f"ALTER TABLE delta.`{self.path(table)}` ADD CONSTRAINT {name} CHECK ({rule})")

    @contextmanager
    def _named_commits(self) -> Iterator[None]:
        """Let the commits that SQL statements make carry the run's facts."""
        self.spark.conf.set(METADATA, self.run.metadata())
        try:
            yield
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
        seen = self.version(table)
        shaped = conform.conformed(table, rows)
        if table.write == "append":
            shaped = self._without_known(table, shaped, keys_first)
        judged = conform.judged(table, with_breaches(shaped, table.rules))
        marked, groups = self._counted(table, judged if computed else materialised(judged), seen, keys_first)
        n_written = _require_unique(table, groups)
        if any(group.rule is not None for group in groups):
            self._commit(QUARANTINE, conform.quarantine_rows(table, marked.where(~F.col("sound")), self.run.run_id))
        version = None
        if n_written or table.write == "replace":
            written = marked.where("written").select(*table.columns)
            if table.write == "append" and (not computed or seen is None):  # else their plan looks into the table
                written = self._looking(table, written)
            version = self._commit(table, written, slice, transaction)
        if table is self.run.writes:
            for group in groups:
                self.run.enter(group.n, group.rule, group.drop_reason)
        return version

    def insert(self, table: Table, rows: list[dict[str, Any]]) -> None:
        """Write a few rows that this process made itself."""
        self.write(table, conform.frame_of(table, rows, self.spark), computed=True)

    def _without_known(self, table: Table, rows: DataFrame, keys_first: bool) -> DataFrame:
        """The rows whose key is neither in the table nor, as a defective row's, in the quarantine."""
        if self.exists(table):
            rows = conform.unmatched(rows, self.newest(table).select(*table.key), keys_first)
        if not self.exists(QUARANTINE):
            return rows
        known = self.newest(QUARANTINE).where(F.col("table") == table.name).select("row_id")
        return conform.unmatched(rows.withColumn("row_id", conform.row_id(table)), known, keys_first).drop("row_id")

    def _counted(
        self, table: Table, staged: DataFrame, seen: int | None, keys_first: bool
    ) -> tuple[DataFrame, list[Row]]:
        """The rows that are still new, and how many there are by rule, drop reason and whether they are written.

        Rows that another run has added since version `seen` are left out, and the rest is counted again.
        """
        while True:
            groups = conform.counted(table, staged)
            if table.write != "append" or (now := self.version(table)) == seen:
                return staged, groups
            staged, seen = self._without_known(table, staged, keys_first), now

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
        # No partition column: of one, only the partitions named would count.
        texts = (name for name in table.key if isinstance(table.schema[name].dataType, StringType))
        key = next(name for name in texts if name not in table.partition_by)
        nothing = self.newest(table).where(F.col(key) == "").select(key)
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


def _same(rule: str, other: str | None) -> bool:
    """Whether two conditions are alike but for white space, which Delta changes in one that is added later."""
    return other is not None and "".join(rule.split()) == "".join(other.split())


def _require_unique(table: Table, groups: list[Row]) -> int:
    """How many rows will be written; raises where two of them have one key."""
    n_written: int = sum(group.n for group in groups if group.written)
    n_keys = sum(group.n_keys for group in groups if group.written)
    if n_keys != n_written and table.holds != "all":
        raise DuplicateKeyError(f"{table.name}: {n_written:,} rows have only {n_keys:,} keys ({', '.join(table.key)})")
    return n_written
