"""Conformance of rows to a table's declared schema, and SQL for slices, tables and keys."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from jobs.lake.materialised import is_few
from schemas.ops import PAYLOAD_BYTES
from schemas.result import REJECTED
from schemas.table import Table


class SchemaMismatchError(ValueError):
    """Rows lack a column that the table declares, or have one of another type; the message lists every difference."""


def predicate(slice: Mapping[str, object]) -> str:
    """Return the SQL condition that selects a slice, e.g. `experiment = 'demo' AND iteration = 1`."""
    return " AND ".join(f"{name} = {_literal(value)}" for name, value in slice.items())


def _literal(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    return f"'{quoted(str(value))}'"


def quoted(text: str) -> str:
    """Escape a text for use between the single quotes of a SQL string."""
    return text.replace("\\", "\\\\").replace("'", "\\'")


def delta_name(path: str) -> str:
    """Return the SQL name of the Delta table at `path`."""
    escaped = path.replace("`", "``")
    return f"delta.`{escaped}`"


def arrow_of(table: Table, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Convert a few rows to an Arrow table with the table's schema."""
    return pa.Table.from_pylist(rows, to_arrow_schema(table.schema, timezone="UTC"))


def frame_of(table: Table, rows: Sequence[Mapping[str, Any]], spark: SparkSession) -> DataFrame:
    """Convert a few rows to a DataFrame, through Arrow because Spark starts a Python worker to unpack a plain list."""
    return spark.createDataFrame(arrow_of(table, rows), table.schema)


def conformed(table: Table, rows: DataFrame) -> DataFrame:
    """Select the table's columns, `drop_reason` and `rejected`; the last two are null if `rows` lack them.

    Raises:
        SchemaMismatchError: a column is missing or has another type.
    """
    types = {f.name: f.dataType for f in rows.schema}
    faults = [f"{f.name} is missing" for f in table.schema if f.name not in types]
    faults += [
        f"{f.name} is {types[f.name].simpleString()}, not {f.dataType.simpleString()}"
        for f in table.schema
        if f.name in types and types[f.name].simpleString() != f.dataType.simpleString()
    ]
    if faults:
        raise SchemaMismatchError(f"{table.name}: {'; '.join(faults)}; the rows have {', '.join(types)}")
    extra_columns = []
    if "drop_reason" not in table.columns:
        extra_columns.append(
            F.col("drop_reason") if "drop_reason" in types else F.lit(None).cast("string").alias("drop_reason")
        )
    extra_columns.append(F.col("rejected") if "rejected" in types else F.lit(None).cast(REJECTED).alias("rejected"))
    return rows.select(*table.columns, *extra_columns)


def widened(table: Table, rows: DataFrame) -> DataFrame:
    """Add, as nulls, the columns that the table has gained since the rows were written."""
    missing = [field for field in table.schema if field.name not in rows.columns]
    return rows.withColumns({field.name: F.lit(None).cast(field.dataType) for field in missing}) if missing else rows


def unmatched(rows: DataFrame, known: DataFrame) -> DataFrame:
    """Return the staged rows whose key is not in `known`, which has only the key's columns.

    `known` is as large as a table. If the rows are few, it is read once and neither side is shuffled.
    """
    key = known.columns
    if is_few(rows):
        known = F.broadcast(known.join(F.broadcast(rows.select(*key)), key, "left_semi"))
    return rows.join(known, key, "left_anti")


def judged(table: Table, rows: DataFrame) -> DataFrame:
    """Add `sound` and `written` (sound, and of the kind that the table holds) to conformed rows with `breaches`.

    A row that the table does not hold, e.g. one that the method drops, need not meet the rules.
    """
    passes = F.col("drop_reason").isNull()
    belongs = {"kept": passes, "dropped": ~passes, "all": F.lit(True)}[table.holds]
    sound = F.col("rejected").isNull() & (~belongs | (F.size("breaches") == 0))
    return rows.withColumn("sound", sound).withColumn("written", sound & belongs)


def counted(table: Table, rows: DataFrame) -> list[Row]:
    """Count judged rows (`n`) and distinct keys (`n_keys`) by broken rule, drop reason and `written`."""
    rule = F.when(~F.col("sound"), F.coalesce("rejected.rule", F.element_at("breaches", 1)))
    groups = rows.groupBy(rule.alias("rule"), "drop_reason", "written")
    return groups.agg(F.count(F.lit(1)).alias("n"), F.count_distinct(*table.key).alias("n_keys")).collect()


def row_id(table: Table) -> Column:
    """Return the row's key as one string."""
    return F.concat_ws("/", *(F.coalesce(F.col(name).cast("string"), F.lit("?")) for name in table.key))


def places(table: Table) -> Column:
    """Return all ids under which the quarantine may hold a row: its key, its place in a file, and the whole file."""
    names = [row_id(table)]
    if {"source_file", "record_offset"} <= {*table.columns}:
        names += [F.concat_ws(":", "source_file", "record_offset"), F.col("source_file")]
    return F.array(*names)


def quarantine_rows(table: Table, bad: DataFrame, run_id: str) -> DataFrame:
    """Convert defective rows, whose `breaches` name the rules that they break, to rows of `ops.quarantine`."""
    in_file = F.concat_ws(":", "rejected.source_file", "rejected.record_offset")
    place = F.when(F.col("rejected.source_file").isNotNull(), in_file).otherwise(row_id(table))
    rule = F.coalesce("rejected.rule", F.element_at("breaches", 1))
    detail = F.coalesce("rejected.detail", F.concat_ws(", ", "breaches"))
    # All records in one compressed member of a file have the member's offset.
    occurrence = F.row_number().over(Window.partitionBy(place, rule).orderBy(detail))
    payload = F.to_json(F.struct(*(F.col(name) for name in table.columns)))
    return bad.select(
        F.lit(run_id).alias("run_id"),
        F.lit(table.name).alias("table"),
        F.when(occurrence > 1, F.concat_ws(":", place, occurrence)).otherwise(place).alias("row_id"),
        rule.alias("rule"),
        detail.alias("detail"),
        F.col("rejected.source_file").alias("source_file"),
        F.col("rejected.record_offset").alias("record_offset"),
        _cut(F.coalesce("rejected.payload", payload)).alias("payload"),
        F.lit(None).cast("string").alias("resolved_by"),
    )


def _cut(text: Column) -> Column:
    """Truncate a text to `PAYLOAD_BYTES` bytes of UTF-8 without splitting a character."""
    prefix = F.substring(text, 1, PAYLOAD_BYTES)
    # A character that the cut splits decodes to U+FFFD, which is removed.
    cut = F.regexp_replace(F.substring(prefix.cast("binary"), 1, PAYLOAD_BYTES).cast("string"), "\ufffd+$", "")
    return F.when(F.octet_length(prefix) > PAYLOAD_BYTES, cut).otherwise(prefix)
