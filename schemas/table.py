"""What a table declaration is: its columns, key, row rules, partitioning and how it is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pyspark.sql.types import ArrayType, DataType, StructField, StructType

# A pinned version must stay readable for as long as anyone may want to train on it again; Delta's
# own defaults refuse a version after a week and forget its log after a month.
RETENTION = {
    "delta.deletedFileRetentionDuration": "interval 3650 days",
    "delta.logRetentionDuration": "interval 3650 days",
}

ROW_TRACKING = "delta.enableRowTracking"  # a table's rows know the version that each was added by


def column(
    name: str, kind: DataType, comment: str, *, nullable: bool = False, references: tuple[str, ...] = ()
) -> StructField:
    """A column with its comment, which Spark carries into the catalog and the data dictionary.

    `references` are columns such as `silver.segments.segment_id`: a value, or each element of an
    array, that is not null is found in at least one of them.
    """
    metadata: dict[str, str | list[str]] = {"comment": comment}
    if references:
        metadata["references"] = list(references)
    return StructField(name, kind, nullable, metadata)


def finite(name: str) -> str:
    """The SQL condition that a column holds a number.

    Spark, DuckDB and DataFusion all hold NaN for larger than every number, so that it passes every lower bound.
    """
    return f"abs({name}) < 1e308"


@dataclass(frozen=True)
class Table:
    """One table of the lake, declared once and read by everything that touches it.

    `write` says what a write means: `append` adds the rows whose key is not there yet, `log` adds
    all of them (facts that happen once), `replace` swaps one slice of the partition columns.
    `holds` says which rows of a job's result are written where the rows carry a `drop_reason`:
    the `kept` ones, the `dropped` ones, or `all` of them.
    """

    name: str
    comment: str
    schema: StructType
    key: tuple[str, ...]
    write: Literal["append", "log", "replace"] = "append"
    holds: Literal["kept", "dropped", "all"] = "kept"
    partition_by: tuple[str, ...] = ()
    constraints: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a key or partition column that the schema lacks, and a nullable key."""
        for name in (*self.key, *self.partition_by):
            if self.schema[name].nullable:
                raise ValueError(f"{self.name}: key or partition column {name} is nullable")

    @property
    def path(self) -> str:
        """Where the table lies below the lake's root: `<layer>/<name>`."""
        return self.name.replace(".", "/")

    @property
    def columns(self) -> list[str]:
        """The column names, in order."""
        return self.schema.fieldNames()

    @property
    def references(self) -> dict[str, tuple[str, ...]]:
        """Column -> the columns of tables that its values lead to, for the columns that have any."""
        return {f.name: tuple(f.metadata["references"]) for f in self.schema if "references" in f.metadata}

    @property
    def rules(self) -> dict[str, str]:
        """The row rules in Spark's SQL."""
        return self.rules_quoted("`")

    def rules_quoted(self, quote: str) -> dict[str, str]:
        """Rule name -> SQL condition that every row must meet: not-null columns, then constraints.

        `quote` encloses a name that may be a reserved word: a backtick in Spark's SQL, where a double
        quote makes a string of it; a double quote elsewhere.
        """
        required = {f"{f.name}_not_null": f"{quote}{f.name}{quote} IS NOT NULL" for f in self.schema if not f.nullable}
        return required | dict(self.constraints)


def check_references(tables: Sequence[Table]) -> None:
    """Check that each reference leads to a declared column with values of the same type.

    Raises:
        ValueError: names every reference that does not.
    """
    kinds = {f"{table.name}.{f.name}": _value_kind(f) for table in tables for f in table.schema}
    faults = []
    for table in tables:
        for name, targets in table.references.items():
            here = f"{table.name}.{name}"
            for target in targets:
                if target not in kinds:
                    faults.append(f"{here} refers to {target}, which no table has")
                elif kinds[target] != kinds[here]:
                    faults.append(f"{here} is {kinds[here]} and refers to {target}, which is {kinds[target]}")
    if faults:
        raise ValueError("; ".join(faults))


def _value_kind(field: StructField) -> str:
    """The type of a column's values, of an array its elements' type."""
    kind = field.dataType
    return (kind.elementType if isinstance(kind, ArrayType) else kind).simpleString()
