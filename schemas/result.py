"""The shape of a job's result: a table's columns, and the reasons for which rows do not enter it."""

from pyspark.sql.types import LongType, StringType, StructField, StructType

from schemas.table import Table

REJECTED = StructType(
    [
        StructField("rule", StringType()),
        StructField("detail", StringType()),
        StructField("source_file", StringType()),
        StructField("record_offset", LongType()),
        StructField("payload", StringType()),
    ]
)
"""The defect of a rejected record and its place, for `ops.quarantine`; null for a sound row."""


def result_schema(table: Table) -> StructType:
    """Return the table's columns, all nullable, with `drop_reason` and `rejected`."""
    return StructType(
        [
            *(StructField(f.name, f.dataType) for f in table.schema),
            StructField("drop_reason", StringType()),
            StructField("rejected", REJECTED),
        ]
    )
