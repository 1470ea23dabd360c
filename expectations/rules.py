"""The row rules of a table, checked in one Spark pass."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def with_breaches(frame: DataFrame, rules: Mapping[str, str]) -> DataFrame:
    """Add the column `breaches`: the names of the rules (SQL conditions) that the row breaks.

    A condition that is null counts as broken, as it does for Delta's CHECK constraints.
    """
    broken = [F.when(~F.coalesce(F.expr(rule), F.lit(False)), F.lit(name)) for name, rule in rules.items()]
    return frame.withColumn("breaches", F.array_compact(F.array(*broken)))
