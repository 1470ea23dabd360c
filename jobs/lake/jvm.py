"""The only module that reaches past Spark SQL into the JVM or the SparkContext.

Delta's Python API gives a table's version and size only by jobs over its whole history, Spark's SQL API
cannot parse a statement without running it, and neither names the cluster's cores or checkpoint folder.
Under Spark Connect these functions are what has to be replaced.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession

PLANS = "org.apache.spark.sql.catalyst.plans.logical"


@dataclass(frozen=True)
class Snapshot:
    """The newest state of a Delta table, from its log."""

    version: int
    committed_at: datetime
    n_bytes: int
    columns: tuple[str, ...]
    properties: Mapping[str, str]


def newest_version(spark: SparkSession, path: str) -> int | None:
    """The newest version of the Delta table at `path`; None where there is no table."""
    version = int(_snapshot(spark, path).version())
    return version if version >= 0 else None


def snapshot(spark: SparkSession, path: str) -> Snapshot | None:
    """The newest state of the Delta table at `path`; None where there is no table."""
    found = _snapshot(spark, path)
    if found.version() < 0:
        return None
    properties = found.metadata().configuration()
    keys = properties.keysIterator()
    named = {}
    while keys.hasNext():
        key = keys.next()
        named[str(key)] = str(properties.apply(key))
    return Snapshot(
        version=int(found.version()),
        committed_at=datetime.fromtimestamp(found.timestamp() / 1000, UTC),
        n_bytes=int(found.sizeInBytes()),
        columns=tuple(map(str, found.schema().fieldNames())),
        properties=named,
    )


def _snapshot(spark: SparkSession, path: str) -> Any:
    jvm: Any = spark._jvm
    log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, path)
    nothing = jvm.scala.Option.empty()
    return log.update(False, nothing, nothing)


def only_reads(spark: SparkSession, text: str) -> bool:
    """Whether Spark's parser sees a query, or a command that only shows something."""
    jvm: Any = spark._jvm
    plan: Any = spark._jsparkSession.sessionState().sqlParser().parsePlan(text)
    while (kind := plan.getClass().getSimpleName()) == "UnresolvedWith":
        plan = plan.child()
    writers = (jvm.java.lang.Class.forName(f"{PLANS}.{name}") for name in ("Command", "InsertIntoStatement"))
    return kind.startswith(("Show", "Describe", "Explain")) or not any(writer.isInstance(plan) for writer in writers)


def n_cores(spark: SparkSession) -> int:
    """How many tasks run side by side."""
    return spark.sparkContext.defaultParallelism


def has_checkpoint_folder(spark: SparkSession) -> bool:
    """Whether `spark.checkpoint.dir` names a folder."""
    return spark.sparkContext.getCheckpointDir() is not None


def spread(spark: SparkSession, rows: Sequence[tuple[Any, ...]], schema: str, n_tasks: int) -> DataFrame:
    """A frame of `rows` dealt out to `n_tasks` tasks: Spark SQL alone would read a few small rows in one."""
    return spark.createDataFrame(spark.sparkContext.parallelize(rows, n_tasks), schema)


def workers_python(spark: SparkSession) -> tuple[str, str]:
    """The version of the Python that Spark's workers run, and its path."""
    theirs: tuple[str, str] = spark.sparkContext.parallelize([0], 1).map(_this_python).first()
    return theirs


def _this_python(_: int) -> tuple[str, str]:
    import sys

    return sys.version.split()[0], sys.executable


def require_writable(spark: SparkSession, root: str) -> None:
    """Write and delete a file below `root` by Hadoop's file system; raises what that raises."""
    path = f"{root.rstrip('/')}/_humpback_doctor"
    touch(spark, path)
    remove(spark, path)


def touch(spark: SparkSession, path: str) -> None:
    """Make an empty file, or make it anew."""
    store, place = _stored(spark, path)
    store.create(place, True).close()


def modified(spark: SparkSession, path: str) -> float | None:
    """When a file was last written, in seconds since 1970; None where there is none."""
    store, place = _stored(spark, path)
    return float(store.getFileStatus(place).getModificationTime()) / 1000 if store.exists(place) else None


def names_in(spark: SparkSession, folder: str) -> list[str]:
    """The names of what a folder holds; nothing where it does not exist."""
    store, place = _stored(spark, folder)
    return [str(found.getPath().getName()) for found in store.listStatus(place)] if store.exists(place) else []


def remove(spark: SparkSession, path: str) -> None:
    """Delete a file or a folder with all that it holds."""
    store, place = _stored(spark, path)
    store.delete(place, True)


def table_id(spark: SparkSession, path: str) -> str:
    """The id that Delta gave the table at `path` when it was made: one that is made anew has another."""
    return str(_snapshot(spark, path).metadata().id())


def appended(spark: SparkSession, path: str, since: int, until: int) -> DataFrame | None:
    """The rows that a table got after version `since`, up to version `until`, from the files that hold them alone.

    None where its log does not tell: parts of it are gone, rows were taken away, or a compaction has put the
    files together with older ones.
    """
    jvm: Any = spark._jvm
    nothing = jvm.scala.Option.empty()
    snapshot = _snapshot(spark, path)
    files, seen = dict[str, Any](), since
    commits = snapshot.deltaLog().getChanges(since + 1, until, nothing, False) if since < until else nothing.iterator()
    while commits.hasNext():
        commit = commits.next()
        seen += 1
        if commit._1() != seen:
            return None
        actions = commit._2().iterator()
        while actions.hasNext():
            action = actions.next()
            kind = action.getClass().getSimpleName()
            if kind == "RemoveFile" and (action.dataChange() or action.path() in files):
                return None
            if kind == "AddFile" and action.dataChange():
                files[action.path()] = action
    if seen != until:
        return None
    added = jvm.java.util.ArrayList()
    for file in files.values():
        added.add(file)
    rows = jvm.scala.jdk.javaapi.CollectionConverters.asScala(added).toSeq()
    return DataFrame(snapshot.deltaLog().createDataFrame(snapshot, rows, False, nothing), spark)


def _stored(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """The file system that holds `path`, and its name there."""
    jvm: Any = spark._jvm
    place = jvm.org.apache.hadoop.fs.Path(path)
    return place.getFileSystem(spark._jsc.hadoopConfiguration()), place
