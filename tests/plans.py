"""Search for the nodes of a Spark plan that bring an unbounded number of rows to one task or to every task."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.sql import DataFrame, SparkSession

AS_WRITTEN = {"spark.sql.autoBroadcastJoinThreshold": "-1", "spark.sql.adaptive.enabled": "false"}
"""Settings with which Spark broadcasts only what a plan demands; by default it also broadcasts small tables."""
THROUGH = (
    "Project",
    "Filter",
    "Sort",
    "Window",
    "WholeStageCodegen",
    "InputAdapter",
    "Exchange",
    "ReusedExchange",
    "Union",
)


@contextmanager
def planned_as_for_large_tables(spark: SparkSession) -> Iterator[None]:
    """Make Spark plan as it does if no side of a join is small."""
    before = {key: spark.conf.get(key) for key in AS_WRITTEN}
    try:
        for key, value in AS_WRITTEN.items():
            spark.conf.set(key, value)
        yield
    finally:
        for key, old in before.items():
            assert old is not None
            spark.conf.set(key, old)


def gathered(frame: DataFrame, *few_valued: str) -> list[str]:
    """Return the nodes of a frame's plan that bring an unbounded number of rows to one task or to every task.

    Bounded are aggregates without groups or grouped by columns in `few_valued`, limits, and rows in the plan itself.
    """
    plan: Any = frame._jdf.queryExecution().executedPlan()  # type: ignore[operator]  # an object of the JVM
    return [
        str(node.simpleString(200)) for node in _nodes(plan) if _gathers(node) and not _is_bounded(node, {*few_valued})
    ]


def _nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for node in (*_listed(plan.children()), *_listed(plan.subqueries())):
        yield from _nodes(node)


def _listed(sequence: Any) -> list[Any]:
    return [sequence.apply(i) for i in range(sequence.size())]


def _gathers(node: Any) -> bool:
    kind = _kind(node)
    if kind == "Exchange":
        return str(node.outputPartitioning()) == "SinglePartition"
    return kind in ("BroadcastExchange", "TakeOrderedAndProject", "CollectLimit")


def _is_bounded(node: Any, few_valued: set[str]) -> bool:
    kind = _kind(node)
    children = [node.child()] if kind == "ReusedExchange" else _listed(node.children())
    if kind in ("HashAggregate", "ObjectHashAggregate", "SortAggregate"):
        return {str(key.name()) for key in _listed(node.groupingExpressions())} <= few_valued
    if kind in ("LocalTableScan", "LocalLimit", "GlobalLimit") or str(node.nodeName()).endswith("OneRowRelation"):
        return True
    passes_rows = kind.startswith(THROUGH) or kind.endswith(("Join", "Product")) or _gathers(node)
    return passes_rows and kind != "TakeOrderedAndProject" and all(_is_bounded(child, few_valued) for child in children)


def _kind(node: Any) -> str:
    return str(node.nodeName()).split(" ")[0]
