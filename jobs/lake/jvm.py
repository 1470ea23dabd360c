"""The only module that reaches past Spark SQL into the JVM or the SparkContext.

Delta's Python API gives a table's version and size only by jobs over its whole history, Spark's SQL API
cannot parse a statement without running it, and neither gives the cluster's cores or checkpoint folder.
Spark Connect would need replacements for these functions.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from py4j.java_gateway import JavaObject
from pyspark import SparkConf, SparkContext
from pyspark.sql import DataFrame, SparkSession

RELATIONS = ("UnresolvedRelation", "UnresolvedTable", "UnresolvedTableOrView")
FUNCTIONS = ("UnresolvedFunction", "UnresolvedGenerator", "UnresolvedTableValuedFunction")
LEAVES = ("LocalRelation", "LogicalRelation")  # they hold rows and files, but no further nodes


@dataclass(frozen=True)
class Snapshot:
    """The newest state of a Delta table, as its log gives it."""

    version: int
    committed_at: datetime
    n_bytes: int
    n_files: int
    columns: tuple[str, ...]
    properties: Mapping[str, str]


def launch(settings: Mapping[str, str]) -> None:
    """Start this process's JVM, unless it runs already; Spark resolves the jars that the settings name."""
    # Only this first step needs the start lock; what a builder's getOrCreate() does later does not.
    conf = SparkConf(loadDefaults=False).setAll(list(settings.items()))
    SparkContext._ensure_initialized(conf=conf)


def cancel_jobs(spark: SparkSession) -> None:
    """Ask Spark to cancel all its jobs, and return at once."""
    spark.sparkContext.cancelAllJobs()


def newest_version(spark: SparkSession, path: str) -> int | None:
    """Return the newest version of the Delta table at `path`; None if there is no table."""
    version = int(_snapshot(spark, path).version())
    return version if version >= 0 else None


def snapshot(spark: SparkSession, path: str) -> Snapshot | None:
    """Return the newest state of the Delta table at `path`; None if there is no table."""
    latest = _snapshot(spark, path)
    if latest.version() < 0:
        return None
    properties = latest.metadata().configuration()
    keys = properties.keysIterator()
    settings = {}
    while keys.hasNext():
        key = keys.next()
        settings[str(key)] = str(properties.apply(key))
    return Snapshot(
        version=int(latest.version()),
        committed_at=datetime.fromtimestamp(latest.timestamp() / 1000, UTC),
        n_bytes=int(latest.sizeInBytes()),
        n_files=int(latest.numOfFiles()),
        columns=tuple(map(str, latest.schema().fieldNames())),
        properties=settings,
    )


def _snapshot(spark: SparkSession, path: str) -> Any:
    jvm: Any = spark._jvm
    log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, path)
    no_value = jvm.scala.Option.empty()
    return log.update(False, no_value, no_value)


@dataclass(frozen=True)
class PlanNode:
    """A node of a statement's plan: an operator, a relation, a command or an expression."""

    kind: str
    """The class name, without the package."""
    package: str
    name: tuple[str, ...] = ()
    """The parts of a relation's or function's name; for WITH, the names of its subqueries."""
    is_relation: bool = False
    is_function: bool = False
    group: str | None = None
    """The group of a built-in function in Spark's registry; None for any other function."""
    has_options: bool = False


def parsed(spark: SparkSession, text: str) -> list[PlanNode]:
    """List the nodes of a statement as Spark's parser sees it, the root first; nothing is looked up or run."""
    return list(_nodes(spark, spark._jsparkSession.sessionState().sqlParser().parsePlan(text)))


def analysed(frame: DataFrame) -> list[PlanNode]:
    """List the nodes of a frame's plan, in which all names are resolved, the root first."""
    return list(_nodes(frame.sparkSession, frame._jdf.queryExecution().analyzed()))


def _nodes(spark: SparkSession, plan: Any) -> Iterator[PlanNode]:
    """Walk all values that the nodes hold, since not every class lists all its plans and expressions as children."""
    jvm: Any = spark._jvm
    trees = "org.apache.spark.sql.catalyst.trees.TreeNode"
    tree, iterable, product = map(jvm.java.lang.Class.forName, (trees, "scala.collection.Iterable", "scala.Product"))
    stack = [plan]
    while stack:
        value = stack.pop()
        if not isinstance(value, JavaObject):
            continue
        if tree.isInstance(value):
            node = _node(jvm, value)
            yield node
            if node.kind in LEAVES:
                continue
        if iterable.isInstance(value):
            stack += _items(value.iterator())
        elif product.isInstance(value):
            stack += _items(value.productIterator())


def _node(jvm: Any, node: Any) -> PlanNode:
    package, _, kind = node.getClass().getName().rpartition(".")
    if kind in RELATIONS:
        name = tuple(_items(node.multipartIdentifier().iterator()))
        has_options = kind == "UnresolvedRelation" and not node.options().isEmpty()
        return PlanNode(kind, package, name, is_relation=True, has_options=has_options)
    if kind in FUNCTIONS:
        return _function(jvm, kind, package, node)
    if kind == "UnresolvedWith":
        return PlanNode(kind, package, tuple(relation._1() for relation in _items(node.cteRelations().iterator())))
    return PlanNode(kind, package)


def _function(jvm: Any, kind: str, package: str, node: Any) -> PlanNode:
    registries = jvm.org.apache.spark.sql.catalyst.analysis
    match kind:
        case "UnresolvedFunction":
            parts, known = node.nameParts(), registries.FunctionRegistry.expressions()
        case "UnresolvedGenerator":  # of a lateral view
            parts, known = node.name().nameParts(), registries.FunctionRegistry.expressions()
        case _:
            parts, known = node.name(), registries.TableFunctionRegistry.logicalPlans()
    name = tuple(_items(parts.iterator()))
    entry = known.get(name[-1].lower())
    group = str(entry.get()._1().getGroup()) if entry.isDefined() else None
    return PlanNode(kind, package, name, is_function=True, group=group)


def _items(iterator: Any) -> Iterator[Any]:
    while iterator.hasNext():
        yield iterator.next()


def n_cores(spark: SparkSession) -> int:
    """Return the number of tasks that Spark runs in parallel."""
    return spark.sparkContext.defaultParallelism


def has_checkpoint_folder(spark: SparkSession) -> bool:
    """Return whether `spark.checkpoint.dir` names a folder."""
    return spark.sparkContext.getCheckpointDir() is not None


def release(frame: DataFrame) -> None:
    """Free the blocks of a locally checkpointed frame, which otherwise stay until the JVM's garbage collection."""
    checkpoint: Any = frame._jdf.queryExecution().logical()
    checkpoint.rdd().unpersist(False)


def spread(spark: SparkSession, rows: Sequence[tuple[Any, ...]], schema: str, n_tasks: int) -> DataFrame:
    """Distribute `rows` over `n_tasks` tasks; Spark SQL alone would read a few small rows in one task."""
    return spark.createDataFrame(spark.sparkContext.parallelize(rows, n_tasks), schema)


def workers_python(spark: SparkSession) -> tuple[str, str]:
    """Return the version and the path of the Python that Spark's workers run."""
    python: tuple[str, str] = spark.sparkContext.parallelize([0], 1).map(_this_python).first()
    return python


def _this_python(_: int) -> tuple[str, str]:
    import sys

    return sys.version.split()[0], sys.executable


def require_writable(spark: SparkSession, root: str) -> None:
    """Write and delete a file below `root` through Hadoop's file system; its exceptions pass through."""
    place = f"{root.rstrip('/')}/_humpback_doctor"
    put_text(spark, place, "")
    remove(spark, place)


def put_text(spark: SparkSession, place: str, text: str) -> None:
    """Write a small file through Hadoop's file system, over an existing one."""
    file_system, path = _file_system_and_path(spark, place)
    file = file_system.create(path, True)
    try:
        file.write(bytearray(text.encode()))
    finally:
        file.close()


def texts_in(spark: SparkSession, folder: str, suffix: str) -> list[str]:
    """Read a folder's small files whose names end with `suffix`; return no texts if the folder does not exist."""
    file_system, path = _file_system_and_path(spark, folder)
    if not file_system.exists(path):
        return []
    files = [file.getPath() for file in file_system.listStatus(path) if file.getPath().getName().endswith(suffix)]
    return [_text(file_system, file) for file in files]


def _text(file_system: Any, path: Any) -> str:
    file = file_system.open(path)
    try:
        return bytes(file.readAllBytes()).decode()
    finally:
        file.close()


def modified(spark: SparkSession, path: str) -> float | None:
    """Return a file's modification time, in seconds since 1970; None if there is no file."""
    file_system, hadoop_path = _file_system_and_path(spark, path)
    if not file_system.exists(hadoop_path):
        return None
    return float(file_system.getFileStatus(hadoop_path).getModificationTime()) / 1000


def names_in(spark: SparkSession, folder: str) -> list[str]:
    """List the names in a folder; empty where the folder does not exist."""
    file_system, hadoop_path = _file_system_and_path(spark, folder)
    if not file_system.exists(hadoop_path):
        return []
    return [str(entry.getPath().getName()) for entry in file_system.listStatus(hadoop_path)]


def remove(spark: SparkSession, path: str) -> None:
    """Delete a file, or a folder and its contents."""
    file_system, hadoop_path = _file_system_and_path(spark, path)
    file_system.delete(hadoop_path, True)


def table_id(spark: SparkSession, path: str) -> str:
    """Return the id that Delta gave the table at `path`; a table that is created again gets another."""
    return str(_snapshot(spark, path).metadata().id())


def appended(spark: SparkSession, path: str, since: int, until: int) -> DataFrame | None:
    """Return the rows added to a table after version `since` up to version `until`, reading only the added files.

    None if the log cannot tell them: entries are gone, rows were removed, or a compaction has rewritten added
    files.
    """
    jvm: Any = spark._jvm
    no_value = jvm.scala.Option.empty()
    snapshot = _snapshot(spark, path)
    files, last_version = dict[str, Any](), since
    commits = (
        snapshot.deltaLog().getChanges(since + 1, until, no_value, False) if since < until else no_value.iterator()
    )
    while commits.hasNext():
        commit = commits.next()
        last_version += 1
        if commit._1() != last_version:
            return None
        actions = commit._2().iterator()
        while actions.hasNext():
            action = actions.next()
            kind = action.getClass().getSimpleName()
            if kind == "RemoveFile" and (action.dataChange() or action.path() in files):
                return None
            if kind == "AddFile" and action.dataChange():
                files[action.path()] = action
    if last_version != until:
        return None
    added = jvm.java.util.ArrayList()
    for file in files.values():
        added.add(file)
    return _rows_of(spark, snapshot, added)


def of_files(spark: SparkSession, path: str, names: Collection[str]) -> DataFrame | None:
    """Return the rows of the files with these names (without folders); None if the newest version lacks one."""
    snapshot = _snapshot(spark, path)
    quoted_names = ", ".join(f"'{name}'" for name in names)
    files = snapshot.allFiles().filter(f"element_at(split(path, '/'), -1) IN ({quoted_names})").collectAsList()
    return _rows_of(spark, snapshot, files) if files.size() == len(names) else None


def _rows_of(spark: SparkSession, snapshot: Any, files: Any) -> DataFrame:
    jvm: Any = spark._jvm
    file_sequence = jvm.scala.jdk.javaapi.CollectionConverters.asScala(files).toSeq()
    frame = snapshot.deltaLog().createDataFrame(snapshot, file_sequence, False, jvm.scala.Option.empty())
    return DataFrame(frame, spark)


def _file_system_and_path(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """Return the Hadoop file system that holds `path`, and `path` as Hadoop's Path."""
    jvm: Any = spark._jvm
    hadoop_path = jvm.org.apache.hadoop.fs.Path(path)
    return hadoop_path.getFileSystem(spark._jsc.hadoopConfiguration()), hadoop_path
