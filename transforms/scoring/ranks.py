"""Exact ranks and quantiles of numbers by counting in buckets: no task sorts or holds all of them."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

PER_UNIT = 1024  # buckets per unit of log(1 + |x|): about 1,100 from 1 to 5, about 1,400 from -1 to 1


def percent_ranks(rows: DataFrame, name: str) -> DataFrame:
    """Return the distinct numbers (`value`) of a column, each with its `rank` among all rows, from 0 for the smallest.

    As SQL's `percent_rank`, the rank is the share of the other rows that are smaller.
    """
    counted = _counted(rows.select(F.col(name).alias("value")))
    others = F.col("total") - 1
    rank = F.when(others > 0, F.col("below") / others).otherwise(0.0)
    return counted.crossJoin(F.broadcast(_total(counted))).select("value", rank.alias("rank"))


def quantile(rows: DataFrame, name: str, share: float) -> DataFrame:
    """Return one row with `quantile`, as SQL's exact `percentile`: interpolated between two rows, null without rows."""
    counted = _counted(rows.select(F.col(name).alias("value")))
    placed = counted.crossJoin(F.broadcast(_total(counted)))
    position = (F.col("total") - 1) * share
    placed = placed.withColumns({"position": position, "lower": F.floor(position), "higher": F.ceil(position)})
    bounds = placed.agg(
        F.max("position").alias("position"),
        F.max("lower").alias("lower"),
        F.max("higher").alias("higher"),
        F.max(F.when(_holds("lower"), F.col("value"))).alias("lower_value"),
        F.max(F.when(_holds("higher"), F.col("value"))).alias("higher_value"),
    )
    between = (F.col("higher") - F.col("position")) * F.col("lower_value")
    between += (F.col("position") - F.col("lower")) * F.col("higher_value")
    is_one = F.col("lower_value") == F.col("higher_value")
    return bounds.select(F.when(is_one, F.col("lower_value")).otherwise(between).alias("quantile"))


def _holds(place: str) -> Column:
    """Return the condition that the row at position `place`, from 0, has this value."""
    return (F.col("below") <= F.col(place)) & (F.col(place) < F.col("below") + F.col("n"))


def _total(counted: DataFrame) -> DataFrame:
    return counted.agg(F.sum("n").alias("total"))


def _counted(values: DataFrame) -> DataFrame:
    """Return the distinct values, each with its number of rows (`n`) and the number with a smaller value (`below`)."""
    distinct = values.groupBy("value").agg(F.count(F.lit(1)).alias("n")).withColumn("bucket", _bucket(F.col("value")))
    sizes = distinct.groupBy("bucket").agg(F.sum("n").alias("size"))
    histogram = sizes.agg(F.collect_list(F.struct("bucket", "size")).alias("histogram"))
    smaller = F.filter("histogram", lambda other: other["bucket"] < F.col("bucket"))
    before = F.aggregate(smaller, F.lit(0).cast("bigint"), lambda sum, other: sum + other["size"])
    offsets = sizes.crossJoin(F.broadcast(histogram)).select("bucket", before.alias("before"))
    ordered = Window.partitionBy("bucket").orderBy("value").rowsBetween(Window.unboundedPreceding, -1)
    below = F.col("before") + F.coalesce(F.sum("n").over(ordered), F.lit(0))
    return distinct.join(F.broadcast(offsets), "bucket").select("value", "n", below.alias("below"))


def _bucket(value: Column) -> Column:
    """Return a bucket number that is monotone in the value; NaN, Spark's greatest double, gets the greatest."""
    scaled = F.signum(value) * F.log1p(F.abs(value)) * PER_UNIT
    return F.when(F.isnan(value), F.lit(2**62)).otherwise(F.floor(F.greatest(F.lit(-1e9), F.least(scaled, F.lit(1e9)))))
