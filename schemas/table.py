"""What a table declaration is: its columns, key, row rules, partitioning and how it is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pyspark.sql.types import DataType, StructField, StructType

# A pinned version must stay readable for as long as anyone may want to train on it again; Delta's
# own defaults refuse a version after a week and forget its log after a month.
RETENTION = {
    "delta.deletedFileRetentionDuration": "interval 3650 days",
    "delta.logRetentionDuration": "interval 3650 days",
}


def column(name: str, kind: DataType, comment: str, *, nullable: bool = False) -> StructField:
    """A column with its comment, which Spark carries into the catalog and the data dictionary."""
    return StructField(name, kind, nullable, {"comment": comment})


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
    def rules(self) -> dict[str, str]:
        """Rule name -> SQL condition that every row must meet: not-null columns, then constraints."""
        required = {f"{f.name}_not_null": f"{f.name} IS NOT NULL" for f in self.schema if not f.nullable}
        return required | dict(self.constraints)
