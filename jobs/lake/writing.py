"""The one write path: conform, validate, quarantine, commit, count."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from delta import exceptions
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from expectations.rules import with_breaches
from jobs.errors import JobError
from jobs.lake import conform
from jobs.lake.failures import sentence
from jobs.lake.materialised import materialised
from jobs.lake.runs import CODE_VERSION, Entry, Run
from jobs.lake.tables import RECENT_COMMITS, Lake
from schemas.ops import QUARANTINE
from schemas.table import Table

METADATA = "spark.databricks.delta.commitInfo.userMetadata"  # of a commit that no writer makes
RELEASE = "humpback.release"  # the property of a table that says which release made it
CONSTRAINT = "delta.constraints."
COMMIT_TRIES = 5
CONFLICTS = (  # which have no class in common
    exceptions.ConcurrentAppendException,
    exceptions.ConcurrentDeleteDeleteException,
    exceptions.ConcurrentDeleteReadException,
    exceptions.ConcurrentTransactionException,
    exceptions.ConcurrentWriteException,
    exceptions.DeltaConcurrentModificationException,
    exceptions.MetadataChangedException,
    exceptions.ProtocolChangedException,
)
SMALL_FILES = 100  # more of them than its size needs, and a table is compacted
FULL_FILE_BYTES = 2**27

T = TypeVar("T")
log = logging.getLogger(__name__)


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
        place = self.path(table)  # of which alone the builder makes a name that it does not quote
        builder = DeltaTable.createIfNotExists(self.spark).tableName(conform.delta_name(place)).location(place)
        builder = builder.comment(table.comment).addColumns(table.schema)
        if table.partition_by:
            builder = builder.partitionedBy(*table.partition_by)
        constraints = {f"{CONSTRAINT}{name}": rule for name, rule in table.constraints.items()}
        for key, value in {RELEASE: CODE_VERSION, **constraints, **table.properties}.items():
            builder = builder.property(key, value)
        with self._named_commits():
            builder.execute()
        self._reconciled.add(table.name)

    def _reconcile(self, table: Table) -> None:
        """Give a table that an earlier release made the CHECK constraints and properties that are declared now.

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
        place = conform.delta_name(self.path(table))
        lacking = {k: v for k, v in table.properties.items() if state.properties.get(k) != v}
        with self._named_commits():
            for name in (name for name, rule in stored.items() if not _same(rule, table.constraints.get(name))):
                self.spark.sql(f"ALTER TABLE {place} DROP CONSTRAINT {name}")
            for name, rule in table.constraints.items():
                if not _same(rule, stored.get(name)):
                    self._add_constraint(table, name, rule)
            if lacking:
                settings = ", ".join(f"'{key}' = '{value}'" for key, value in lacking.items())
                self.spark.sql(f"ALTER TABLE {place} SET TBLPROPERTIES ({settings})")

    def _add_constraint(self, table: Table, name: str, rule: str) -> None:
        broken = self.newest(table).where(f"NOT coalesce({rule}, false)").select(conform.row_id(table).alias("id"))
        example = broken.first()
        if example is not None:
            n = broken.count()
            raise JobError(
                f"{table.name}: {n:,} rows break the rule {name}, which is new in release {CODE_VERSION}, e.g. "
                f"{example.id}: {rule}; write to the lake with the release that made it"
            )
        self.spark.sql(f"ALTER TABLE {conform.delta_name(self.path(table))} ADD CONSTRAINT {name} CHECK ({rule})")

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
    ) -> int | None:
        """Conform, validate, quarantine, commit and count; the version written, None if nothing was new.

        `rows` may carry, beside the table's columns, `drop_reason` (a rule of the method, null for
        a row that passes) and `rejected`, a struct of the quarantine's `rule`, `detail`,
        `source_file`, `record_offset`, `payload` (null for a sound row). `slice` names the
        partition that a `replace` table swaps; `transaction` makes a repeated commit harmless;
        `computed` says that `rows` are staged or local, and need not be staged once more.

        Raises:
            SchemaMismatchError: `rows` lacks a column or has one of another type.
            DuplicateKeyError: two of the rows that would be written have one key.
            JobError: another run has used the name of the `transaction`, or commits all the time.
        """
        judged = self._judged(table, rows, computed)
        n_written = _require_unique(table, judged.groups)
        if any(group.rule is not None for group in judged.groups):
            self._quarantine(table, judged.rows.where(~F.col("sound")), judged.groups)
        if n_written:
            self._resolve(table, judged.rows.where("written"))
        return self._persistently(table, lambda: self._commit_new(judged, slice, transaction))

    def _judged(self, table: Table, rows: DataFrame, computed: bool) -> "_Judged":
        """The rows that are not in the table yet, shaped and judged by its rules."""
        judged = conform.judged(table, with_breaches(conform.conformed(table, rows), table.rules))
        judged = judged if computed else materialised(judged)
        seen = self.version(table)
        new = self._without_known(table, judged)
        return _Judged(table, new, conform.counted(table, new), seen)

    def _commit_new(self, judged: "_Judged", slice: Mapping[str, object] | None, transaction: str | None) -> int | None:
        """Commit and count what is sound, but for rows that another run has added since they were compared.

        The plan of an append looks for its keys in the table once more, so that Delta refuses the commit if
        another run's comes in between.
        """
        table = judged.table
        if table.write == "append" and _require_unique(table, judged.groups):
            self.create(table)
            if (now := self.version(table)) != judged.seen:
                judged.rows, judged.seen = self._without_known(table, judged.rows), now
                judged.groups = conform.counted(table, judged.rows)
        entries = [Entry(group.n, None, group.drop_reason) for group in judged.groups if group.rule is None]
        version = None
        if _require_unique(table, judged.groups) or table.write == "replace":
            written = judged.rows.where("written").select(*table.columns)
            version = self._commit(table, written, slice, transaction, entries)
        self._enter(table, entries)
        return version

    def insert(self, table: Table, rows: list[dict[str, Any]]) -> None:
        """Write a few rows that this process made itself."""
        self.write(table, conform.frame_of(table, rows, self.spark), computed=True)

    def _without_known(self, table: Table, rows: DataFrame) -> DataFrame:
        """The staged rows that an append adds: those whose key is not in the table."""
        if table.write != "append" or not self.exists(table):
            return rows
        return conform.unmatched(rows, self.newest(table).select(*table.key))

    def _quarantine(self, table: Table, bad: DataFrame, groups: list[Row]) -> None:
        """Put defective rows into the quarantine that are not in it yet, and count them.

        A row that is in it counts again only where the whole slice is written again. The quarantine never
        decides which rows are new: a row whose defect is gone is written like any other.
        """
        known = self._unresolved(table).select("row_id", "rule")
        new = conform.quarantine_rows(table, bad, self.run.run_id).join(known, ["row_id", "rule"], "left_anti")
        new = materialised(new)
        found = [Entry(row["count"], row.rule) for row in new.groupBy("rule").count().collect()]
        entries = found
        if table.write == "replace":
            entries = [Entry(group.n, group.rule) for group in groups if group.rule is not None]
        if found:
            counted = entries if self._is_counted(table) else []
            self._persistently(QUARANTINE, lambda: self._commit(QUARANTINE, new, entries=counted))
        self._enter(table, entries)

    def _resolve(self, table: Table, written: DataFrame) -> None:
        """Mark the rows of the quarantine that are about to be written after all.

        Before the commit: if that never comes, a later run finds the row to be new, sound or not.
        """
        waiting = self._unresolved(table).select("row_id")
        if waiting.isEmpty():
            return
        ids = written.select(F.explode(conform.places(table)).alias("row_id"))
        healed = materialised(waiting.join(ids, "row_id", "left_semi").distinct())
        if healed.isEmpty():
            return
        same = f"q.table = '{table.name}' AND q.row_id = healed.row_id AND q.resolved_by IS NULL"
        quarantine = DeltaTable.forPath(self.spark, self.path(QUARANTINE)).alias("q")
        change = quarantine.merge(healed.alias("healed"), same)
        change = change.whenMatchedUpdate(set={"resolved_by": F.lit(self.run.run_id)})
        with self._named_commits():
            self._persistently(QUARANTINE, change.execute)
        self.run.commits[QUARANTINE.name] += 1

    def _unresolved(self, table: Table) -> DataFrame:
        """The rows of the quarantine that the table still lacks."""
        return self.newest(QUARANTINE).where((F.col("table") == table.name) & F.col("resolved_by").isNull())

    def _is_counted(self, table: Table) -> bool:
        """Whether the table's rows are those that the run is there to write."""
        return table.name == self.run.writes.name

    def _enter(self, table: Table, entries: list[Entry]) -> None:
        if self._is_counted(table):
            self.run.enter(entries)

    def _persistently(self, table: Table, commit: Callable[[], T]) -> T:
        """Make a commit, again where another run's came in between.

        Raises:
            JobError: another run's came in between each time.
        """
        for _ in range(COMMIT_TRIES):
            try:
                return commit()
            except CONFLICTS as error:
                log.info("%s: another run committed first, trying again: %s", table.name, sentence(error))
        raise JobError(
            f"{table.name}: another run committed first {COMMIT_TRIES} times in a row; nothing of this commit was "
            "written; run the same command again when there is less to do at once"
        )

    def _commit(
        self,
        table: Table,
        rows: DataFrame,
        slice: Mapping[str, object] | None = None,
        transaction: str | None = None,
        entries: Iterable[Entry] = (),
    ) -> int:
        self.run.require_lease()
        self.create(table)
        metadata = self.run.metadata(transaction, entries if self._is_counted(table) or table is QUARANTINE else ())
        writer = rows.write.format("delta").mode("append").option("userMetadata", metadata)
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
        if self._is_counted(table):
            self.run.version = version
        return version

    def compact(self, table: Table) -> None:
        """Write a table's many small files anew as few; no row changes, and older versions stay readable."""
        state = self.state(table)
        if state is None:
            return
        n_small = state.n_files - state.n_bytes // FULL_FILE_BYTES
        if n_small > SMALL_FILES and table.partition_by:  # each partition needs a file
            n_small -= self.newest(table).select(*table.partition_by).distinct().count()
        if n_small <= SMALL_FILES:
            return
        with self._named_commits():
            DeltaTable.forPath(self.spark, self.path(table)).optimize().executeCompaction()
        self.run.commits[table.name] += 1

    def vacuum(self, table: Table) -> None:
        """Delete the files that no version needs which is younger than the table's retention time."""
        with self._named_commits():
            self.spark.sql(f"VACUUM {conform.delta_name(self.path(table))}")

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


@dataclass
class _Judged:
    """Rows of one write, as they compare with version `seen` of their table."""

    table: Table
    rows: DataFrame
    groups: list[Row]
    """Of `rows`, by rule broken, drop reason and whether they are written."""
    seen: int | None


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
