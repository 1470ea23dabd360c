"""Check that a SQL statement only reads this lake, by allow-lists of plan nodes, functions and tables.

A statement is checked as parsed, before the analysis, which itself runs `EXECUTE IMMEDIATE` and evaluates some
arguments. A query is checked again as analysed, before it runs.
"""

from collections.abc import Iterable

from jobs.errors import JobError
from jobs.lake.drift import DRIFT_VIEW
from jobs.lake.jvm import PlanNode
from jobs.lake.names import suggestion
from schemas import BY_NAME


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_QUERIES = _words(
    """
    Aggregate CTERelationDef CTERelationRef Distinct Except Expand Filter Generate GlobalLimit Intersect Join
    LateralJoin LimitAll LocalLimit LocalRelation LogicalRelation NearestByJoin Offset OneRowRelation PipeOperator
    Pivot Project Range RebalancePartitions RelationTimeTravel Repartition RepartitionByExpression ResolvedHint
    ResolvedInlineTable Sample Sort SubqueryAlias Union UnionLoop UnionLoopRef Unpivot UnresolvedHaving
    UnresolvedHint UnresolvedInlineTable UnresolvedQualify UnresolvedRelation UnresolvedSubqueryColumnAliases
    UnresolvedTVFAliases UnresolvedTableValuedFunction UnresolvedWith View Window WithCTE WithWindowDefinition
    """
)
"""Operators and relations, as they are parsed or analysed."""
_SHOW_COMMANDS = _words(
    """
    CurrentNamespace$ DescribeColumn DescribeDeltaDetailCommand DescribeDeltaHistory DescribeFunction
    DescribeNamespace DescribeQueryCommand DescribeRelation DescribeRelationJsonCommand DescribeTablePartition
    ExplainCommand ShowCatalogsCommand ShowCollationsCommand ShowColumns ShowCreateTable ShowCurrentNamespaceCommand
    ShowFunctions ShowNamespacesCommand ShowPartitions ShowTablePartition ShowTableProperties ShowTables
    ShowTablesExtended ShowViews UnresolvedFunctionName UnresolvedNamespace UnresolvedPartitionSpec UnresolvedTable
    UnresolvedTableOrView
    """
)
"""The commands that only show metadata or plans, and the nodes that name their objects."""
_NAMES = _words(
    """
    MultiAlias UnresolvedAlias UnresolvedAttribute UnresolvedExtractValue UnresolvedFunction UnresolvedGenerator
    UnresolvedOrdinal UnresolvedPipeAggregateOrdinal UnresolvedRegex UnresolvedStar UnresolvedStarExceptOrReplace
    """
)
"""Expressions that the parser leaves to the analysis; all other expressions are in the package `_EXPRESSIONS`."""
_EXPRESSIONS = "org.apache.spark.sql.catalyst.expressions"
_FOREIGN_CODE = _words(
    """
    ApplyFunctionExpression CallMethodViaReflection PythonUDAF PythonUDF PythonUDTF ScalaUDF TryReflect V2Aggregator
    """
)
"""Expressions of that package that run code other than Spark's."""
_FUNCTIONS = _words(
    """
    agg_funcs array_funcs bitwise_funcs collection_funcs conditional_funcs conversion_funcs csv_funcs datetime_funcs
    generator_funcs hash_funcs json_funcs lambda_funcs map_funcs math_funcs misc_funcs predicate_funcs sketch_funcs
    st_funcs string_funcs struct_funcs table_funcs url_funcs variant_funcs vector_funcs window_funcs
    """
)
"""Spark's groups of functions that only compute. XML is excluded, since it fetches a DTD or XSD from a file or address
that a text or an option names; so are Avro and Protobuf, which load classes and files."""
_UNSAFE_FUNCTIONS = frozenset({"reflect", "try_reflect", "java_method", "python_worker_logs"})
_BUILTIN = ((), ("builtin",), ("system", "builtin"))
CATALOG = "spark_catalog"


def require_reading(nodes: Iterable[PlanNode]) -> None:
    """Check that a statement, parsed or analysed, only reads tables of the lake.

    Raises:
        JobError: it contains another operation, function or table, which the message names.
    """
    nodes = list(nodes)
    subqueries = {name.lower() for node in nodes if node.kind == "UnresolvedWith" for name in node.name}
    for node in nodes:
        if node.kind not in _QUERIES | _SHOW_COMMANDS | _NAMES:
            if not node.package.startswith(_EXPRESSIONS) or node.kind in _FOREIGN_CODE:
                raise JobError(
                    f"sql: the statement holds {node.kind}; only queries, SHOW, DESCRIBE and EXPLAIN are run, and "
                    "tables are written by jobs alone"
                )
        elif node.is_relation:
            _require_table(node, subqueries)
        elif node.is_function:
            _require_computing(node)


def tables_named(nodes: Iterable[PlanNode]) -> set[str]:
    """Return the names of the lake's tables, and of the view `drift`, that a statement reads or describes."""
    return {name for node in nodes if node.is_relation and (name := _table(node)) in {*BY_NAME, DRIFT_VIEW}}


def is_look(node: PlanNode) -> bool:
    """Return whether a statement that begins with `node` is a SHOW, DESCRIBE or EXPLAIN, which Spark runs at once."""
    return node.kind in _SHOW_COMMANDS


def _table(node: PlanNode) -> str:
    parts = [part.lower() for part in node.name]
    return ".".join(parts[1:] if len(parts) == 3 and parts[0] == CATALOG else parts)


def _require_table(node: PlanNode, subqueries: set[str]) -> None:
    table = _table(node)
    if node.has_options:
        raise JobError(f"sql: {table} is read with options; leave out its WITH (...)")
    if table not in BY_NAME and table != DRIFT_VIEW and not (len(node.name) == 1 and table in subqueries):
        raise no_such_table(table)


def _require_computing(node: PlanNode) -> None:
    *qualifier, name = (part.lower() for part in node.name)
    if tuple(qualifier) not in _BUILTIN or node.group not in _FUNCTIONS or name in _UNSAFE_FUNCTIONS:
        raise JobError(
            f"sql: the function {'.'.join(node.name)} is not run; only Spark's own functions are, without those that "
            "load code, files or addresses (reflection, XML, Avro, Protobuf)"
        )


def no_such_table(name: str) -> JobError:
    """Return an error that names the table most similar to `name`, or else all tables."""
    hint = suggestion(name, (*BY_NAME, DRIFT_VIEW))
    all_tables = f", which has {', '.join(BY_NAME)} and the view {DRIFT_VIEW}"
    return JobError(f"sql: {name} is not a table of this lake{hint or all_tables}")
