"""Reading the lake's Delta tables."""

from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from jobs.lake import conform, jvm
from jobs.lake.compatibility import require_known_columns
from jobs.lake.local import folder
from schemas.place import local_path
from schemas.table import ROW_TRACKING, Table

RECENT_COMMITS = 20  # among them is one that has just been made, whatever other writers did meanwhile
COMMIT = "_commit"
"""The column of `Lake.with_commits`."""


class Lake:
    """The tables below one root, for reading; records the versions, and the methods whose rows, were read."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        """`root` is a folder or any URI that Spark can read."""
        self.spark = spark
        local = local_path(root)
        self.root = str(local) if local else root.rstrip("/")  # Delta takes a relative path for a table's name
        self.versions_read: dict[str, int] = {}
        """Table -> the version that was read first."""
        self.methods_read: dict[str, str] = {}
        """Table, scorer or model's name -> the method digest or model id whose rows were read; see `current`."""
        self._existing: set[str] = set()
        self._collected: dict[str, list[Row]] = {}

    def path(self, table: Table) -> str:
        """Return the path or URI of the table."""
        return f"{self.root}/{table.path}"

    def exists(self, table: Table) -> bool:
        """Return whether the table has been created.

        Raises:
            OtherReleaseError: another release of humpback wrote it, with other columns.
        """
        if table.name not in self._existing:
            state = self.state(table)
            if state is None:
                return False
            require_known_columns(table, state.columns, self.root)
            self._existing.add(table.name)
        return True

    def version(self, table: Table) -> int | None:
        """Return the newest version, or None if the table does not exist yet."""
        return jvm.newest_version(self.spark, self.path(table))

    def state(self, table: Table) -> jvm.Snapshot | None:
        """Return version, time, size and properties of the newest version; None if the table does not exist yet."""
        return jvm.snapshot(self.spark, self.path(table))

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """Return the table's rows, at `version` or the newest; no rows if the table does not exist yet.

        The version that is read first is recorded; the commits of a run name it as an input.
        """
        if not self.exists(table):
            return self.spark.createDataFrame([], table.schema)
        if version is None:
            version = self.version(table)
        assert version is not None
        self.versions_read.setdefault(table.name, version)
        return self.at(table, version)

    def at(self, table: Table, version: int) -> DataFrame:
        """Return the rows of one version, without recording it as read."""
        return conform.widened(table, self.spark.read.format("delta").load(self.path(table), versionAsOf=version))

    def with_commits(self, table: Table) -> DataFrame:
        """Return the table's rows with the version that added each, which compaction does not change.

        The version is 0 in a table that an earlier release created and no run of this release has written to.
        """
        rows, state = self.read(table), self.state(table)
        tracked = state is not None and state.properties.get(ROW_TRACKING) == "true"
        commit = F.col("_metadata.row_commit_version") if tracked else F.lit(0)
        return rows.withColumn(COMMIT, commit.cast("bigint"))

    def newest(self, table: Table) -> DataFrame:
        """Return the newest rows at the time of computation, for a plan whose commit Delta checks for conflicts."""
        if not self.exists(table):
            return self.spark.createDataFrame([], table.schema)
        return conform.widened(table, self.spark.read.format("delta").load(self.path(table)))

    def collected(self, table: Table) -> list[Row]:
        """Collect all rows of a small table (a row per release, model or prompt); cached until the next write."""
        if table.name not in self._collected:
            self._collected[table.name] = self.read(table).collect()
        return self._collected[table.name]

    def commits(self, table: Table) -> DataFrame:
        """Return the table's last commits from Delta's history; none if it does not exist yet."""
        if not self.exists(table):
            return self.spark.createDataFrame([], "version bigint, userMetadata string")
        history: DataFrame = DeltaTable.forPath(self.spark, self.path(table)).history(RECENT_COMMITS)
        return history

    def folder(self, name: str) -> Path:
        """Return a local folder for files other than tables (models, logs, reports): below the lake if it is local."""
        return folder(self.root, name)
