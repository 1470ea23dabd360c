"""That a table's declaration refuses what can't be, and that references lead to columns that there are."""

import re

import pytest
from pyspark.sql.types import ArrayType, LongType, StringType, StructType

from schemas import TABLES
from schemas.__main__ import dictionary, entry
from schemas.silver import SCORES
from schemas.table import Table, check_references, column

PAGES = Table("bronze.pages", "A page.", StructType([column("page_id", StringType(), "its digest")]), key=("page_id",))


def pieces(**references: tuple[str, ...]) -> Table:
    """A table of pieces, with a column of each kind."""
    kinds = {"page_id": StringType(), "page_ids": ArrayType(StringType(), False), "number": LongType()}
    columns = [column(name, kind, "it", references=references.get(name, ())) for name, kind in kinds.items()]
    return Table("silver.pieces", "A piece.", StructType(columns), key=("page_id",))


def test_a_table_declares_its_references() -> None:
    one, several = ("bronze.pages.page_id",), ("bronze.pages.page_id", "silver.pieces.page_id")
    table = pieces(page_id=one, page_ids=several)
    assert table.references == {"page_id": one, "page_ids": several}
    assert PAGES.references == {}
    check_references([PAGES, table])


@pytest.mark.parametrize(
    ("references", "message"),
    [
        (
            {"page_id": ("bronze.page.page_id",)},
            "silver.pieces.page_id refers to bronze.page.page_id, which no table has",
        ),
        ({"page_ids": ("bronze.pages.id",)}, "silver.pieces.page_ids refers to bronze.pages.id, which no table has"),
        ({"page_id": ("pages",)}, "silver.pieces.page_id refers to pages, which no table has"),
        (
            {"number": ("bronze.pages.page_id",)},
            "silver.pieces.number is bigint and refers to bronze.pages.page_id, which is string",
        ),
        (
            {"page_ids": ("bronze.pages.page_id", "silver.pieces.number")},
            "silver.pieces.page_ids is string and refers to silver.pieces.number, which is bigint",
        ),
    ],
)
def test_a_reference_without_a_target_is_refused(references: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_references([PAGES, pieces(**references)])


def test_all_bad_references_are_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"silver\.pieces\.page_id .*; silver\.pieces\.number "):
        check_references([PAGES, pieces(page_id=("x.y.z",), number=("x.y.z",))])


def test_every_id_of_another_tables_row_is_a_reference() -> None:
    ids = {table.key[0] for table in TABLES if len(table.key) == 1}
    assert {"document_id", "prompt_id", "model_id", "run_id", "candidate_id"} <= ids
    own = {f"{table.name}.{key}" for table in TABLES for key in table.key if len(table.key) == 1}
    unreferenced = {"gold.generations.prompt_id", "gold.judgements.prompt_id"}  # lakes of release 0.3 have no sets
    unreferenced.add("bronze.evaluation_prompts.prompt_id")  # in a set, where ops.prompts has templates
    unreferenced.add("ops.runs.recipe_digest")  # runs of earlier releases have no row in ops.recipes
    loose = {f"{table.name}.{name}" for table in TABLES for name in ids & set(table.columns) - set(table.references)}
    assert loose - own == unreferenced


def test_comments_do_not_repeat_declarations() -> None:
    names = "|".join(re.escape(table.name) for table in TABLES)
    told = {f"{t.name}.{f.name}" for t in TABLES for f in t.schema if re.search(f"-> ({names})", f.metadata["comment"])}
    assert told == set()


def test_the_dictionary_links_to_what_a_column_refers_to() -> None:
    assert "| the pair → [silver.candidates.candidate_id](#silvercandidates) or [" in entry(SCORES)
    text = dictionary()
    anchors = {line.removeprefix("## ").replace(".", "") for line in text.splitlines() if line.startswith("## ")}
    linked = set(re.findall(r"\]\(#(.*?)\)", text))
    assert linked <= anchors
    assert len(linked) > 5


def test_a_column_carries_its_comment_where_spark_looks_for_it() -> None:
    assert column("page_id", StringType(), "its digest").metadata == {"comment": "its digest"}


def test_names_in_rules_are_quoted_as_the_reader_wants() -> None:
    assert PAGES.rules == {"page_id_not_null": "`page_id` IS NOT NULL"}
    assert PAGES.rules_quoted('"') == {"page_id_not_null": '"page_id" IS NOT NULL'}


def test_a_nullable_key_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bronze\.pages: key or partition column page_id is nullable"):
        Table("bronze.pages", "", StructType([column("page_id", StringType(), "", nullable=True)]), key=("page_id",))
