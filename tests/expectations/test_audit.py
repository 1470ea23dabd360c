"""The audit tells what is critical from what is a warning, and names each by what it found."""

from pathlib import Path

import great_expectations.expectations as gxe
import pytest
from pyspark.sql import SparkSession

from expectations.audit import audit
from expectations.suites import suite
from schemas import TABLES
from schemas.gold import CURATED
from schemas.table import Table

pytestmark = pytest.mark.spark

GOOD = ("e", 1, "c", "Why?", "Because.", "backtranslated", 5.0, "rubric", "m", ["d"], 4.5, "s", "u")


def test_good_rows_pass_and_leave_data_docs(spark: SparkSession, tmp_path: Path) -> None:
    result = audit(spark.createDataFrame([GOOD], CURATED.schema), suite(CURATED, min_rows=1), tmp_path)
    assert result.failures == ()
    assert result.warnings == ()
    assert "<html" in result.report.read_text()


@pytest.mark.parametrize(
    ("rows", "failure"),
    [
        ([GOOD, GOOD], "unique"),
        ([(*GOOD[:6], 3.0, *GOOD[7:])], "score_at_threshold"),
        ([(*GOOD[:3], " ", *GOOD[4:])], "instruction_not_empty"),
        ([], "row_count"),
    ],
    ids=["key", "threshold", "empty", "no rows"],
)
def test_each_broken_rule_is_named_alone(
    spark: SparkSession, tmp_path: Path, rows: list[tuple[object, ...]], failure: str
) -> None:
    result = audit(spark.createDataFrame(rows, CURATED.schema), suite(CURATED, min_rows=1), tmp_path)
    (only,) = result.failures
    assert failure in only


def test_warnings_do_not_fail_the_audit(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(*GOOD[:2], f"c{i}", *GOOD[3:]) for i in range(3)]
    result = audit(spark.createDataFrame(rows, CURATED.schema), suite(CURATED, min_rows=1), tmp_path)
    assert result.failures == ()
    (warning,) = result.warnings
    assert "instruction" in warning
    assert "proportion_of_unique" in warning


def test_data_docs_contain_no_page_text(spark: SparkSession, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    rows = [(*GOOD[:3], hostile * 200, hostile, *GOOD[5:6], 3.0, *GOOD[7:])]
    result = audit(spark.createDataFrame(rows, CURATED.schema), suite(CURATED, min_rows=1), tmp_path)
    assert result.failures
    assert result.warnings
    pages = [file.read_text() for file in tmp_path.rglob("*.html")]
    assert any("characters long" in page for page in pages), "the warning's page is among them"
    assert not any("alert(1)" in page for page in pages)


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_a_suite_covers_the_whole_declaration(table: Table) -> None:
    found = suite(table, min_rows=0)
    columns = {e.column for e in found if isinstance(e, gxe.ExpectColumnValuesToNotBeNull)}
    assert columns == {f.name for f in table.schema if not f.nullable}
    rules = {e.description.partition(":")[0] for e in found if isinstance(e, gxe.UnexpectedRowsExpectation)}
    assert rules == set(table.constraints)
