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
    n_files: int
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
        n_files=int(found.numOfFiles()),
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
    place = f"{root.rstrip('/')}/_humpback_doctor"
    put_text(spark, place, "")
    delete(spark, place)


def put_text(spark: SparkSession, place: str, text: str) -> None:
    """Write a small file by Hadoop's file system, over the one that is there."""
    store, path = _store(spark, place)
    file = store.create(path, True)
    try:
        file.write(bytearray(text.encode()))
    finally:
        file.close()


def texts_in(spark: SparkSession, folder: str, suffix: str) -> list[str]:
    """The texts of a folder's small files whose names end with `suffix`; none where there is no folder."""
    store, path = _store(spark, folder)
    if not store.exists(path):
        return []
    files = [file.getPath() for file in store.listStatus(path) if file.getPath().getName().endswith(suffix)]
    return [_text(store, file) for file in files]


def _text(store: Any, path: Any) -> str:
    file = store.open(path)
    try:
        return bytes(file.readAllBytes()).decode()
    finally:
        file.close()


def delete(spark: SparkSession, place: str) -> None:
    """Delete a file by Hadoop's file system, if it is there."""
    store, path = _store(spark, place)
    store.delete(path, False)


def _store(spark: SparkSession, place: str) -> tuple[Any, Any]:
    """The file system of a place, and the place as it names it."""
    jvm: Any = spark._jvm
    path = jvm.org.apache.hadoop.fs.Path(place)
    return path.getFileSystem(spark._jsc.hadoopConfiguration()), path
