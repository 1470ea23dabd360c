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
    """The tables below one root, to be read; remembers which versions and which methods' rows were read."""

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
        """Where the table lies."""
        return f"{self.root}/{table.path}"

    def exists(self, table: Table) -> bool:
        """Whether the table has been created yet.

        Raises:
            JobError: it was written by a release of humpback whose tables are others.
        """
        if table.name not in self._existing:
            found = self.state(table)
            if found is None:
                return False
            require_known_columns(table, found.columns, self.root)
            self._existing.add(table.name)
        return True

    def version(self, table: Table) -> int | None:
        """The newest version, or None where the table does not exist yet."""
        return jvm.newest_version(self.spark, self.path(table))

    def state(self, table: Table) -> jvm.Snapshot | None:
        """Version, time, size and properties of the newest version, or None where the table does not exist yet."""
        return jvm.snapshot(self.spark, self.path(table))

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """The table's rows, at `version` or the newest; no rows where it does not exist yet.

        The version that is read first is remembered: the commits of a run name it as an input.
        """
        if not self.exists(table):
            return self.spark.createDataFrame([], table.schema)
        if version is None:
            version = self.version(table)
        assert version is not None
        self.versions_read.setdefault(table.name, version)
        return self.at(table, version)

    def at(self, table: Table, version: int) -> DataFrame:
        """The rows of one version, which is not remembered."""
        return conform.widened(table, self.spark.read.format("delta").load(self.path(table), versionAsOf=version))

    def with_commits(self, table: Table) -> DataFrame:
        """The table's rows with the version that each was added by, which compaction leaves as it is.

        0 in a table that an earlier release made and no run of this one has written to.
        """
        rows, state = self.read(table), self.state(table)
        tracked = state is not None and state.properties.get(ROW_TRACKING) == "true"
        commit = F.col("_metadata.row_commit_version") if tracked else F.lit(0)
        return rows.withColumn(COMMIT, commit.cast("bigint"))

    def newest(self, table: Table) -> DataFrame:
        """The rows as they are when the frame is computed, for a plan whose commit Delta is to check for conflicts."""
        if not self.exists(table):
            return self.spark.createDataFrame([], table.schema)
        return conform.widened(table, self.spark.read.format("delta").load(self.path(table)))

    def collected(self, table: Table) -> list[Row]:
        """All rows of a table that has one for each release, model or prompt; read once, and anew after a write."""
        if table.name not in self._collected:
            self._collected[table.name] = self.read(table).collect()
        return self._collected[table.name]

    def commits(self, table: Table) -> DataFrame:
        """The table's last commits as Delta's history gives them; none where it does not exist yet."""
        if not self.exists(table):
            return self.spark.createDataFrame([], "version bigint, userMetadata string")
        found: DataFrame = DeltaTable.forPath(self.spark, self.path(table)).history(RECENT_COMMITS)
        return found

    def folder(self, name: str) -> Path:
        """A local folder for what is not a table (models, logs, reports): below the lake if that is local."""
        return folder(self.root, name)
