"""The only write path of the lake: conform, validate, quarantine, commit and count rows."""

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

METADATA = "spark.databricks.delta.commitInfo.userMetadata"  # for SQL statements, which take no writer option
RELEASE = "humpback.release"  # table property: the release that created the table
CONSTRAINT = "delta.constraints."
COMMIT_TRIES = 5
CONFLICTS = (  # Delta gives them no common base class
    exceptions.ConcurrentAppendException,
    exceptions.ConcurrentDeleteDeleteException,
    exceptions.ConcurrentDeleteReadException,
    exceptions.ConcurrentTransactionException,
    exceptions.ConcurrentWriteException,
    exceptions.DeltaConcurrentModificationException,
    exceptions.MetadataChangedException,
    exceptions.ProtocolChangedException,
)
SMALL_FILES = 100  # a table with more files than this above what its size needs is compacted
FULL_FILE_BYTES = 2**27

T = TypeVar("T")
log = logging.getLogger(__name__)


class DuplicateKeyError(ValueError):
    """Two rows of one write share a key, which is a bug in the transform that made them."""


class RunLake(Lake):
    """The tables below one root, read and written by one run; its commits record the versions that it read."""

    def __init__(self, spark: SparkSession, root: str, run: Run) -> None:
        """`root` is a folder or any URI that Spark can write."""
        super().__init__(spark, root)
        self.run = run
        run.inputs, run.methods = self.versions_read, self.methods_read
        self._reconciled: set[str] = set()

    def create(self, table: Table) -> None:
        """Create the table if it is missing; otherwise bring its constraints and properties up to date."""
        if self.exists(table):
            self._reconcile(table)
            return
        place = self.path(table)  # given a location alone, the builder makes a table name that it does not quote
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
        """Bring the CHECK constraints and properties of an existing table up to its declaration.

        Raises:
            JobError: rows of the table break a new constraint.
        """
        if table.name in self._reconciled:
            return
        self._reconciled.add(table.name)
        state = self.state(table)
        if state is None or RELEASE not in state.properties:
            return
        stored = {k.removeprefix(CONSTRAINT): v for k, v in state.properties.items() if k.startswith(CONSTRAINT)}
        place = conform.delta_name(self.path(table))
        outdated = {k: v for k, v in table.properties.items() if state.properties.get(k) != v}
        with self._named_commits():
            for name in (
                name for name, rule in stored.items() if not _is_same_condition(rule, table.constraints.get(name))
            ):
                self.spark.sql(f"ALTER TABLE {place} DROP CONSTRAINT {name}")
            for name, rule in table.constraints.items():
                if not _is_same_condition(rule, stored.get(name)):
                    self._add_constraint(table, name, rule)
            if outdated:
                settings = ", ".join(f"'{key}' = '{value}'" for key, value in outdated.items())
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
        """Attach the run's metadata to the commits that SQL statements make."""
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
        """Conform, validate, quarantine, commit and count `rows`; return the version written, None if nothing was new.

        Besides the table's columns, `rows` may carry `drop_reason` (a rule of the method, null for
        a row that passes) and `rejected`, a struct of the quarantine's `rule`, `detail`,
        `source_file`, `record_offset`, `payload` (null for a sound row). `slice` names the
        partition that a `replace` table swaps. `transaction` makes the commit idempotent. With
        `computed`, `rows` are already staged or local and are not staged again.

        Raises:
            SchemaMismatchError: a column is missing or has the wrong type.
            DuplicateKeyError: two rows to be written share a key.
            JobError: another run has used the `transaction`, or every try to commit met a conflict.
        """
        judged = self._judged(table, rows, computed)
        n_written = _require_unique(table, judged.groups)
        if any(group.rule is not None for group in judged.groups):
            self._quarantine(table, judged.rows.where(~F.col("sound")), judged.groups)
        if n_written:
            self._resolve(table, judged.rows.where("written"))
        return self._with_retries(table, lambda: self._commit_new(judged, slice, transaction))

    def _judged(self, table: Table, rows: DataFrame, computed: bool) -> "_Judged":
        """Conform `rows`, apply the table's rules and, for an append, leave out rows already in the table."""
        judged = conform.judged(table, with_breaches(conform.conformed(table, rows), table.rules))
        judged = judged if computed else materialised(judged)
        compared_version = self.version(table)
        new = self._without_known(table, judged)
        return _Judged(table, new, conform.counted(table, new), compared_version)

    def _commit_new(self, judged: "_Judged", slice: Mapping[str, object] | None, transaction: str | None) -> int | None:
        """Commit and count the sound rows, without those that another run added since the comparison.

        The write plan of an append reads the table's keys again, so that Delta refuses the commit if another
        run commits in between.
        """
        table = judged.table
        if table.write == "append" and _require_unique(table, judged.groups):
            self.create(table)
            if (newest := self.version(table)) != judged.compared_version:
                judged.rows, judged.compared_version = self._without_known(table, judged.rows), newest
                judged.groups = conform.counted(table, judged.rows)
        entries = [Entry(group.n, None, group.drop_reason) for group in judged.groups if group.rule is None]
        version = None
        if _require_unique(table, judged.groups) or table.write == "replace":
            written = judged.rows.where("written").select(*table.columns)
            version = self._commit(table, written, slice, transaction, entries)
        self._count_entries(table, entries)
        return version

    def insert(self, table: Table, rows: list[dict[str, Any]]) -> None:
        """Write a few rows held in memory; they need no staging."""
        self.write(table, conform.frame_of(table, rows, self.spark), computed=True)

    def _without_known(self, table: Table, rows: DataFrame) -> DataFrame:
        """Leave out staged rows of an append whose key is already in the table."""
        if table.write != "append" or not self.exists(table):
            return rows
        return conform.unmatched(rows, self.newest(table).select(*table.key))

    def _quarantine(self, table: Table, bad: DataFrame, groups: list[Row]) -> None:
        """Add defective rows to the quarantine, except those that it already holds, and count them.

        A row that it already holds counts again only if a `replace` writes the whole slice again. The quarantine
        never decides which rows are new: a row whose defect is gone is written like any other.
        """
        known = self._unresolved(table).select("row_id", "rule")
        new = conform.quarantine_rows(table, bad, self.run.run_id).join(known, ["row_id", "rule"], "left_anti")
        new = materialised(new)
        added = [Entry(row["count"], row.rule) for row in new.groupBy("rule").count().collect()]
        entries = added
        if table.write == "replace":
            entries = [Entry(group.n, group.rule) for group in groups if group.rule is not None]
        if added:
            counted = entries if self._is_counted(table) else []
            self._with_retries(QUARANTINE, lambda: self._commit(QUARANTINE, new, entries=counted))
        self._count_entries(table, entries)

    def _resolve(self, table: Table, written: DataFrame) -> None:
        """Mark as resolved the quarantined rows that are about to be written.

        This comes before the commit: if the commit fails, a later run treats the row as new, sound or not.
        """
        unresolved = self._unresolved(table).select("row_id")
        if unresolved.isEmpty():
            return
        ids = written.select(F.explode(conform.places(table)).alias("row_id"))
        resolved = materialised(unresolved.join(ids, "row_id", "left_semi").distinct())
        if resolved.isEmpty():
            return
        condition = f"q.table = '{table.name}' AND q.row_id = resolved.row_id AND q.resolved_by IS NULL"
        quarantine = DeltaTable.forPath(self.spark, self.path(QUARANTINE)).alias("q")
        update = quarantine.merge(resolved.alias("resolved"), condition)
        update = update.whenMatchedUpdate(set={"resolved_by": F.lit(self.run.run_id)})
        with self._named_commits():
            self._with_retries(QUARANTINE, update.execute)
        self.run.commits[QUARANTINE.name] += 1

    def _unresolved(self, table: Table) -> DataFrame:
        """Return the table's quarantined rows that are not resolved."""
        return self.newest(QUARANTINE).where((F.col("table") == table.name) & F.col("resolved_by").isNull())

    def _is_counted(self, table: Table) -> bool:
        """Return whether the run counts rows of this table: it is the one that the run's job writes."""
        return table.name == self.run.writes.name

    def _count_entries(self, table: Table, entries: list[Entry]) -> None:
        if self._is_counted(table):
            self.run.enter(entries)

    def _with_retries(self, table: Table, commit: Callable[[], T]) -> T:
        """Try a commit up to `COMMIT_TRIES` times, as long as other runs' commits conflict with it.

        Raises:
            JobError: every try met a conflict.
        """
        for _ in range(COMMIT_TRIES):
            try:
                return commit()
            except CONFLICTS as error:
                log.info("%s: another run committed first, trying again: %s", table.name, sentence(error))
        raise JobError(
            f"{table.name}: another run committed first {COMMIT_TRIES} times in a row; nothing of this commit was "
            "written; run the same command again when fewer runs write to this lake"
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
        writer = writer.option("mergeSchema", "true")  # adds new columns to a table of an older release
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
        """Compact a table with too many small files; no row changes, and older versions stay readable."""
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
        """Delete the files that no version within the table's retention time needs."""
        with self._named_commits():
            self.spark.sql(f"VACUUM {conform.delta_name(self.path(table))}")

    def _version_of(self, table: Table, transaction: str) -> int:
        """Return the version that a transaction committed; Delta skips a repeated transaction, whatever its rows."""
        matches = self.commits(table).where(F.get_json_object("userMetadata", "$.transaction") == transaction)
        commit = matches.orderBy(F.desc("version")).first()
        if commit is None:
            raise JobError(
                f"{table.name}: transaction {transaction} is not among the last {RECENT_COMMITS} commits; "
                f"another run has used its name; see humpback history {table.name}"
            )
        return int(commit.version)


@dataclass
class _Judged:
    """The rows of one write, compared with `compared_version` of their table."""

    table: Table
    rows: DataFrame
    groups: list[Row]
    """Counts of `rows` by broken rule, drop reason and whether they are written."""
    compared_version: int | None


def _is_same_condition(rule: str, stored: str | None) -> bool:
    """Return whether two conditions are equal but for white space, which Delta changes in a constraint added later."""
    return stored is not None and "".join(rule.split()) == "".join(stored.split())


def _require_unique(table: Table, groups: list[Row]) -> int:
    """Return the number of rows to be written; raise DuplicateKeyError if two of them share a key."""
    n_written: int = sum(group.n for group in groups if group.written)
    n_keys = sum(group.n_keys for group in groups if group.written)
    if n_keys != n_written and table.holds != "all":
        raise DuplicateKeyError(
            f"{table.name}: {n_written:,} rows have only {n_keys:,} keys ({', '.join(table.key)}); "
            "this is a bug in humpback: please report it; nothing was written"
        )
    return n_written
