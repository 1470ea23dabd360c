"""The declaration of a table: its columns, key, row rules, partitioning and write mode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pyspark.sql.types import ArrayType, DataType, StructField, StructType

# A pinned version must stay readable as long as anyone may want to train on it again; by default
# Delta refuses a version after a week and deletes its log after a month.
RETENTION = {
    "delta.deletedFileRetentionDuration": "interval 3650 days",
    "delta.logRetentionDuration": "interval 3650 days",
}

ROW_TRACKING = "delta.enableRowTracking"  # records for each row the version that added it


def column(
    name: str, kind: DataType, comment: str, *, nullable: bool = False, references: tuple[str, ...] = ()
) -> StructField:
    """Declare a column with its comment, which Spark carries into the catalog and the data dictionary.

    `references` are columns such as `silver.segments.segment_id`: each non-null value, or element of
    an array, occurs in at least one of them.
    """
    metadata: dict[str, str | list[str]] = {"comment": comment}
    if references:
        metadata["references"] = list(references)
    return StructField(name, kind, nullable, metadata)


def finite(name: str) -> str:
    """Return the SQL condition that a column is finite.

    Spark, DuckDB and DataFusion all order NaN above every number, so it passes every lower bound.
    """
    return f"abs({name}) < 1e308"


@dataclass(frozen=True)
class Table:
    """One table of the lake, declared once for all code that uses it.

    `write` is the write mode: `append` adds the rows with a new key, `log` adds all rows (facts that
    happen once), `replace` swaps one slice of the partition columns. `holds` selects the rows that are
    written from a job's result with a `drop_reason`: the `kept` rows, the `dropped` rows, or `all`.
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
        """The table's path below the lake's root: `<layer>/<name>`."""
        return self.name.replace(".", "/")

    @property
    def columns(self) -> list[str]:
        """The column names, in order."""
        return self.schema.fieldNames()

    @property
    def references(self) -> dict[str, tuple[str, ...]]:
        """Column -> the columns of other tables that it references, for columns with references."""
        return {f.name: tuple(f.metadata["references"]) for f in self.schema if "references" in f.metadata}

    @property
    def rules(self) -> dict[str, str]:
        """The row rules in Spark's SQL."""
        return self.rules_quoted("`")

    def rules_quoted(self, quote: str) -> dict[str, str]:
        """Return rule name -> SQL condition that every row must meet: not-null columns, then constraints.

        `quote` encloses column names, which may be reserved words: a backtick in Spark's SQL, where double
        quotes mark a string; a double quote elsewhere.
        """
        required = {f"{f.name}_not_null": f"{quote}{f.name}{quote} IS NOT NULL" for f in self.schema if not f.nullable}
        return required | dict(self.constraints)


def check_references(tables: Sequence[Table]) -> None:
    """Check that each reference names a declared column with values of the same type.

    Raises:
        ValueError: a reference does not; the message lists all of them.
    """
    kinds = {f"{table.name}.{f.name}": _value_kind(f) for table in tables for f in table.schema}
    faults = []
    for table in tables:
        for name, targets in table.references.items():
            source = f"{table.name}.{name}"
            for target in targets:
                if target not in kinds:
                    faults.append(f"{source} refers to {target}, which no table has")
                elif kinds[target] != kinds[source]:
                    faults.append(f"{source} is {kinds[source]} and refers to {target}, which is {kinds[target]}")
    if faults:
        raise ValueError("; ".join(faults))


def _value_kind(field: StructField) -> str:
    """Return the type of a column's values; for an array, that of its elements."""
    kind = field.dataType
    return (kind.elementType if isinstance(kind, ArrayType) else kind).simpleString()
