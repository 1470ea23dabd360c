"""Rows brought into the shape that a table declares, and the SQL that names them."""

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
    """Rows that do not have the columns that the table declares; lists every difference."""


def predicate(slice: Mapping[str, object]) -> str:
    """The SQL condition that selects a slice, e.g. `experiment = 'demo' AND iteration = 1`."""
    return " AND ".join(f"{name} = {_literal(value)}" for name, value in slice.items())


def _literal(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    return f"'{quoted(str(value))}'"


def quoted(text: str) -> str:
    """The text as it stands between the quotes of a SQL string."""
    return text.replace("\\", "\\\\").replace("'", "\\'")


def delta_name(path: str) -> str:
    """A table by its path, as it stands in a SQL statement."""
    escaped = path.replace("`", "``")
    return f"delta.`{escaped}`"


def arrow_of(table: Table, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A few rows of a table, in Arrow."""
    return pa.Table.from_pylist(rows, to_arrow_schema(table.schema, timezone="UTC"))


def frame_of(table: Table, rows: Sequence[Mapping[str, Any]], spark: SparkSession) -> DataFrame:
    """A few rows that this process made itself; by Arrow, for Spark starts a Python worker to unpack a plain list."""
    return spark.createDataFrame(arrow_of(table, rows), table.schema)


def conformed(table: Table, rows: DataFrame) -> DataFrame:
    """The table's columns, with `drop_reason` and `rejected`, null where `rows` have none.

    Raises:
        SchemaMismatchError: a column is missing or has another type.
    """
    have = {f.name: f.dataType for f in rows.schema}
    faults = [f"{f.name} is missing" for f in table.schema if f.name not in have]
    faults += [
        f"{f.name} is {have[f.name].simpleString()}, not {f.dataType.simpleString()}"
        for f in table.schema
        if f.name in have and have[f.name].simpleString() != f.dataType.simpleString()
    ]
    if faults:
        raise SchemaMismatchError(f"{table.name}: {'; '.join(faults)}; the rows have {', '.join(have)}")
    extra = []
    if "drop_reason" not in table.columns:
        extra.append(F.col("drop_reason") if "drop_reason" in have else F.lit(None).cast("string").alias("drop_reason"))
    extra.append(F.col("rejected") if "rejected" in have else F.lit(None).cast(REJECTED).alias("rejected"))
    return rows.select(*table.columns, *extra)


def widened(table: Table, rows: DataFrame) -> DataFrame:
    """Stored rows with the columns that the table has got since they were written, null."""
    missing = [field for field in table.schema if field.name not in rows.columns]
    return rows.withColumns({field.name: F.lit(None).cast(field.dataType) for field in missing}) if missing else rows


def unmatched(rows: DataFrame, known: DataFrame) -> DataFrame:
    """The staged rows whose key is not in `known`, which has nothing but the key's columns.

    `known` is as large as a table: where the rows are few it is only read, and neither is moved.
    """
    key = known.columns
    if is_few(rows):
        known = F.broadcast(known.join(F.broadcast(rows.select(*key)), key, "left_semi"))
    return rows.join(known, key, "left_anti")


def judged(table: Table, rows: DataFrame) -> DataFrame:
    """Conformed rows that carry `breaches`, with `sound`, and `written`: sound, and of those that the table holds.

    A row that is not written, because the method drops it, need not meet the rules.
    """
    passes = F.col("drop_reason").isNull()
    belongs = {"kept": passes, "dropped": ~passes, "all": F.lit(True)}[table.holds]
    sound = F.col("rejected").isNull() & (~belongs | (F.size("breaches") == 0))
    return rows.withColumn("sound", sound).withColumn("written", sound & belongs)


def counted(table: Table, rows: DataFrame) -> list[Row]:
    """How many judged rows and keys there are, by rule broken, drop reason and whether they are written."""
    rule = F.when(~F.col("sound"), F.coalesce("rejected.rule", F.element_at("breaches", 1)))
    groups = rows.groupBy(rule.alias("rule"), "drop_reason", "written")
    return groups.agg(F.count(F.lit(1)).alias("n"), F.count_distinct(*table.key).alias("n_keys")).collect()


def row_id(table: Table) -> Column:
    """The row's key as one string."""
    return F.concat_ws("/", *(F.coalesce(F.col(k).cast("string"), F.lit("?")) for k in table.key))


def places(table: Table) -> Column:
    """All names under which the quarantine may hold a row: its key, and its place in a file or the whole file."""
    names = [row_id(table)]
    if {"source_file", "record_offset"} <= {*table.columns}:
        names += [F.concat_ws(":", "source_file", "record_offset"), F.col("source_file")]
    return F.array(*names)


def quarantine_rows(table: Table, bad: DataFrame, run_id: str) -> DataFrame:
    """Defective rows of a table (with `breaches`, the names of the rules they break) as rows of `ops.quarantine`."""
    in_file = F.concat_ws(":", "rejected.source_file", "rejected.record_offset")
    place = F.when(F.col("rejected.source_file").isNotNull(), in_file).otherwise(row_id(table))
    rule = F.coalesce("rejected.rule", F.element_at("breaches", 1))
    detail = F.coalesce("rejected.detail", F.concat_ws(", ", "breaches"))
    # All that is in one compressed member of a file has the member's offset.
    nth = F.row_number().over(Window.partitionBy(place, rule).orderBy(detail))
    payload = F.to_json(F.struct(*(F.col(c) for c in table.columns)))
    return bad.select(
        F.lit(run_id).alias("run_id"),
        F.lit(table.name).alias("table"),
        F.when(nth > 1, F.concat_ws(":", place, nth)).otherwise(place).alias("row_id"),
        rule.alias("rule"),
        detail.alias("detail"),
        F.col("rejected.source_file").alias("source_file"),
        F.col("rejected.record_offset").alias("record_offset"),
        _cut(F.coalesce("rejected.payload", payload)).alias("payload"),
        F.lit(None).cast("string").alias("resolved_by"),
    )


def _cut(text: Column) -> Column:
    """The beginning of a text, as long as its UTF-8 is not longer than a payload may be."""
    start = F.substring(text, 1, PAYLOAD_BYTES)
    # A character that the cut goes through is left out: at its place there is then U+FFFD.
    whole = F.regexp_replace(F.substring(start.cast("binary"), 1, PAYLOAD_BYTES).cast("string"), "\ufffd+$", "")
    return F.when(F.octet_length(start) > PAYLOAD_BYTES, whole).otherwise(start)
