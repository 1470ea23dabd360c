"""The Great Expectations suite of a table: checks implied by its declaration, and checks chosen by hand."""

from typing import Any

from schemas.gold import CURATED
from schemas.table import Table


def suite(table: Table, *, min_rows: int) -> list[Any]:
    """Return the expectations on `table`, with at least `min_rows` rows; each gives its severity."""
    import great_expectations.expectations as gxe  # slow to import, and needed only by audits

    expectations: list[Any] = [gxe.ExpectTableRowCountToBeBetween(min_value=min_rows, severity="critical")]
    expectations += [
        gxe.ExpectColumnValuesToNotBeNull(column=f.name, severity="critical") for f in table.schema if not f.nullable
    ]
    expectations.append(
        gxe.ExpectCompoundColumnsToBeUnique(column_list=list(table.key), severity="critical")
        if len(table.key) > 1
        else gxe.ExpectColumnValuesToBeUnique(column=table.key[0], severity="critical")
    )
    expectations += [
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query=f"SELECT * FROM {{batch}} WHERE NOT coalesce({rule}, false)",
            description=f"{name}: {rule}",
            severity="critical",
        )
        for name, rule in table.constraints.items()
    ]
    return expectations + (_of_curated(gxe) if table is CURATED else [])


def _of_curated(gxe: Any) -> list[Any]:
    # A backward model that has collapsed writes one instruction for everything.
    return [
        gxe.ExpectColumnProportionOfUniqueValuesToBeBetween(column="instruction", min_value=0.5, severity="warning"),
        gxe.ExpectColumnValueLengthsToBeBetween(column="instruction", max_value=4000, severity="warning"),
    ]
