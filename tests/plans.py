"""What a plan would bring to one task, or to every task, however many rows there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.sql import DataFrame, SparkSession

AS_WRITTEN = {"spark.sql.autoBroadcastJoinThreshold": "-1", "spark.sql.adaptive.enabled": "false"}
"""Of small tables Spark broadcasts what it would not of large ones; with these only what a plan insists on."""
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
    """Plan as Spark does where no side of a join is small."""
    before = {key: spark.conf.get(key) for key in AS_WRITTEN}
    try:
        for key, value in AS_WRITTEN.items():
            spark.conf.set(key, value)
        yield
    finally:
        for key, old in before.items():
            assert old is not None
            spark.conf.set(key, old)


def gathered(frame: DataFrame, *few: str) -> list[str]:
    """The nodes of a frame's plan that bring more than a bounded number of rows to one task or to every one.

    Bounded are aggregates without groups, those grouped by columns named `few`, and rows that the plan itself holds.
    """
    plan: Any = frame._jdf.queryExecution().executedPlan()  # type: ignore[operator]  # it is the JVM's own object
    return [str(node.simpleString(200)) for node in _nodes(plan) if _gathers(node) and not _is_bounded(node, {*few})]


def _nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for node in (*_listed(plan.children()), *_listed(plan.subqueries())):
        yield from _nodes(node)


def _listed(found: Any) -> list[Any]:
    return [found.apply(i) for i in range(found.size())]


def _gathers(node: Any) -> bool:
    kind = _kind(node)
    if kind == "Exchange":
        return str(node.outputPartitioning()) == "SinglePartition"
    return kind in ("BroadcastExchange", "TakeOrderedAndProject", "CollectLimit")


def _is_bounded(node: Any, few: set[str]) -> bool:
    kind = _kind(node)
    children = [node.child()] if kind == "ReusedExchange" else _listed(node.children())
    if kind in ("HashAggregate", "ObjectHashAggregate", "SortAggregate"):
        return {str(key.name()) for key in _listed(node.groupingExpressions())} <= few
    if kind in ("LocalTableScan", "LocalLimit", "GlobalLimit") or str(node.nodeName()).endswith("OneRowRelation"):
        return True
    passes = kind.startswith(THROUGH) or kind.endswith(("Join", "Product")) or _gathers(node)
    return passes and kind != "TakeOrderedAndProject" and all(_is_bounded(child, few) for child in children)


def _kind(node: Any) -> str:
    return str(node.nodeName()).split(" ")[0]
