"""Nodes that a statement may contain; `tests/jobs/test_catalog.py` tests whole statements."""

import pytest

from jobs.errors import JobError
from jobs.lake.jvm import PlanNode
from jobs.lake.queries import is_look, require_reading, tables_named

LOGICAL = "org.apache.spark.sql.catalyst.plans.logical"
EXPRESSIONS = "org.apache.spark.sql.catalyst.expressions"
PROJECT = PlanNode("Project", LOGICAL)


def relation(*name: str, has_options: bool = False) -> PlanNode:
    return PlanNode("UnresolvedRelation", LOGICAL, name, is_relation=True, has_options=has_options)


def function(*name: str, group: str | None = "string_funcs") -> PlanNode:
    return PlanNode("UnresolvedFunction", LOGICAL, name, is_function=True, group=group)


@pytest.mark.parametrize(
    "nodes",
    [
        [relation("gold", "curated")],
        [relation("Spark_Catalog", "GOLD", "Curated")],
        [relation("drift")],
        [PlanNode("UnresolvedWith", LOGICAL, ("Mine",)), relation("mine")],
        [function("upper")],
        [function("system", "builtin", "Upper")],
        [PlanNode("Upper", f"{EXPRESSIONS}.aggregate")],
    ],
)
def test_reading_statements_are_accepted(nodes: list[PlanNode]) -> None:
    require_reading([PROJECT, *nodes])


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (PlanNode("DeleteFromTable", LOGICAL), "the statement holds DeleteFromTable"),
        (PlanNode("Upper", "org.example"), "the statement holds Upper"),
        (PlanNode("ScalaUDF", EXPRESSIONS), "the statement holds ScalaUDF"),
        (relation("text", "/etc/passwd"), "text./etc/passwd is not a table of this lake"),
        (relation("mine"), "mine is not a table of this lake"),
        (relation("other", "gold", "curated"), "other.gold.curated is not a table of this lake"),
        (relation("gold", "curated", has_options=True), "gold.curated is read with options"),
        (function("ours", group=None), "the function ours is not run"),
        (function("db", "upper"), "the function db.upper is not run"),
        (function("reflect", group="misc_funcs"), "the function reflect is not run"),
        (function("xpath", group="xml_funcs"), "the function xpath is not run"),
        (function("new", group="groups_to_come"), "the function new is not run"),
    ],
)
def test_other_operations_are_refused_by_name(node: PlanNode, said: str) -> None:
    with pytest.raises(JobError) as refused:
        require_reading([PROJECT, node])
    assert str(refused.value).startswith(f"sql: {said}")


def test_a_cte_name_does_not_allow_a_file_path() -> None:
    with pytest.raises(JobError, match=r"text\.mine is not a table"):
        require_reading([PlanNode("UnresolvedWith", LOGICAL, ("mine", "text.mine")), relation("text", "mine")])


def test_the_tables_that_a_statement_names() -> None:
    assert tables_named([relation("GOLD", "curated"), relation("mine"), relation("drift")]) == {"gold.curated", "drift"}
    assert [is_look(PlanNode(kind, LOGICAL)) for kind in ("ShowTables", "Project")] == [True, False]
