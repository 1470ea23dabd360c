"""The only module that reaches past Spark SQL into the JVM or the SparkContext.

Delta's Python API gives a table's version and size only by jobs over its whole history, Spark's SQL API
cannot parse a statement without running it, and neither names the cluster's cores or checkpoint folder.
Under Spark Connect these functions are what has to be replaced.
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
LEAVES = ("LocalRelation", "LogicalRelation")  # they hold rows and files, no more of the plan


@dataclass(frozen=True)
class Snapshot:
    """The newest state of a Delta table, from its log."""

    version: int
    committed_at: datetime
    n_bytes: int
    n_files: int
    columns: tuple[str, ...]
    properties: Mapping[str, str]


def launch(settings: Mapping[str, str]) -> None:
    """Start this process's JVM, unless it runs already, with the jars that the settings name: Spark resolves them."""
    # Its first moments only; what a builder's getOrCreate() does after that needs no lock.
    conf = SparkConf(loadDefaults=False).setAll(list(settings.items()))
    SparkContext._ensure_initialized(conf=conf)


def cancel_jobs(spark: SparkSession) -> None:
    """Ask Spark to end all its jobs, and return at once."""
    spark.sparkContext.cancelAllJobs()


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


@dataclass(frozen=True)
class PlanNode:
    """A node of a statement's plan: an operator, a relation, a command or an expression."""

    kind: str
    """Its class, without the package."""
    package: str
    name: tuple[str, ...] = ()
    """The parts of a relation's or function's name; of WITH, the names of its subqueries."""
    is_relation: bool = False
    is_function: bool = False
    group: str | None = None
    """Spark's group of a function; None if the function is not Spark's own."""
    has_options: bool = False


def parsed(spark: SparkSession, text: str) -> list[PlanNode]:
    """List the nodes of a statement as Spark's parser sees it, the root first; nothing is looked up or run."""
    return list(_nodes(spark, spark._jsparkSession.sessionState().sqlParser().parsePlan(text)))


def analysed(frame: DataFrame) -> list[PlanNode]:
    """List the nodes of a frame's plan, in which all names are resolved, the root first."""
    return list(_nodes(frame.sparkSession, frame._jdf.queryExecution().analyzed()))


def _nodes(spark: SparkSession, plan: Any) -> Iterator[PlanNode]:
    """Walk through all that the nodes hold, since not every class names all its plans and expressions as children."""
    jvm: Any = spark._jvm
    trees = "org.apache.spark.sql.catalyst.trees.TreeNode"
    tree, iterable, product = map(jvm.java.lang.Class.forName, (trees, "scala.collection.Iterable", "scala.Product"))
    waiting = [plan]
    while waiting:
        value = waiting.pop()
        if not isinstance(value, JavaObject):
            continue
        if tree.isInstance(value):
            node = _node(jvm, value)
            yield node
            if node.kind in LEAVES:
                continue
        if iterable.isInstance(value):
            waiting += _items(value.iterator())
        elif product.isInstance(value):
            waiting += _items(value.productIterator())


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
    """How many tasks run side by side."""
    return spark.sparkContext.defaultParallelism


def has_checkpoint_folder(spark: SparkSession) -> bool:
    """Whether `spark.checkpoint.dir` names a folder."""
    return spark.sparkContext.getCheckpointDir() is not None


def release(frame: DataFrame) -> None:
    """Free the blocks of a locally checkpointed frame; else they stay until the JVM collects its garbage."""
    checkpoint: Any = frame._jdf.queryExecution().logical()
    checkpoint.rdd().unpersist(False)


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
    remove(spark, place)


def put_text(spark: SparkSession, place: str, text: str) -> None:
    """Write a small file by Hadoop's file system, over the one that is there."""
    store, path = _stored(spark, place)
    file = store.create(path, True)
    try:
        file.write(bytearray(text.encode()))
    finally:
        file.close()


def texts_in(spark: SparkSession, folder: str, suffix: str) -> list[str]:
    """The texts of a folder's small files whose names end with `suffix`; none where there is no folder."""
    store, path = _stored(spark, folder)
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
    return _rows_of(spark, snapshot, added)


def of_files(spark: SparkSession, path: str, names: Collection[str]) -> DataFrame | None:
    """The rows of the files with these names (without folders); None if the newest version has not all of them."""
    snapshot = _snapshot(spark, path)
    listed = ", ".join(f"'{name}'" for name in names)
    files = snapshot.allFiles().filter(f"element_at(split(path, '/'), -1) IN ({listed})").collectAsList()
    return _rows_of(spark, snapshot, files) if files.size() == len(names) else None


def _rows_of(spark: SparkSession, snapshot: Any, files: Any) -> DataFrame:
    jvm: Any = spark._jvm
    named = jvm.scala.jdk.javaapi.CollectionConverters.asScala(files).toSeq()
    return DataFrame(snapshot.deltaLog().createDataFrame(snapshot, named, False, jvm.scala.Option.empty()), spark)


def _stored(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """The file system that holds `path`, and its name there."""
    jvm: Any = spark._jvm
    place = jvm.org.apache.hadoop.fs.Path(path)
    return place.getFileSystem(spark._jsc.hadoopConfiguration()), place
