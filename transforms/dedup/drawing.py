"""Select the first rows by a hash, by counting: no task sorts or holds all rows."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

PREFIX = 4  # characters: 65,536 buckets of a hexadecimal hash


def first_by_hash(rows: DataFrame, name: str, n: int) -> DataFrame:
    """Return the first `n` rows in the order of the column `name`, a hash that no two rows share."""
    last = last_of_first(rows, name, n)
    return rows.crossJoin(F.broadcast(last)).where(F.col(name) <= F.col("last")).drop("last")


def last_of_first(rows: DataFrame, name: str, n: int) -> DataFrame:
    """Return one row with `last`, the hash of the last of the first `n` rows; empty without rows.

    Hashes are counted by prefix, and only those with the prefix of the last one are sorted.
    """
    hashes = rows.select(F.col(name).alias("hash"), F.substring(F.col(name), 1, PREFIX).alias("bucket"))
    counts = hashes.groupBy("bucket").agg(F.count(F.lit(1)).alias("n"))
    histogram = F.sort_array(F.collect_list(F.struct("bucket", "n")))
    none = F.lit(0).cast("bigint")
    nothing = F.struct(F.lit("").alias("bucket"), none.alias("before"), none.alias("total"))
    border = F.aggregate(
        histogram,
        nothing,
        lambda state, bucket: F.when(
            state["total"] < n,
            F.struct(bucket["bucket"], state["total"].alias("before"), (state["total"] + bucket["n"]).alias("total")),
        ).otherwise(state),
    )
    borders = counts.agg(border.alias("border")).select("border.bucket", "border.before")
    place = F.row_number().over(Window.partitionBy("bucket").orderBy("hash"))
    placed = hashes.join(F.broadcast(borders), "bucket").withColumn("place", F.col("before") + place)
    return placed.where(F.col("place") <= n).agg(F.coalesce(F.max("hash"), F.lit("")).alias("last"))
