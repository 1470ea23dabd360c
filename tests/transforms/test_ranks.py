"""Ranks and quantiles equal those of SQL's functions, and no task reads all rows."""

import math
import random

import pytest
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from tests.plans import gathered, planned_as_for_large_tables
from transforms.scoring.ranks import percent_ranks, quantile

pytestmark = pytest.mark.spark

NUMBERS = {
    "none": [],
    "one": [2.5],
    "all alike": [3.0] * 7,
    "few levels": [float(1 + i % 5) for i in range(83)],
    "of both signs and zeros": [*map(random.Random(1).gauss, [0.0] * 200, [1.0] * 200), 0.0, -0.0, 0.0],
    "far apart": [10.0**i for i in range(-300, 300, 7)] + [-(10.0**i) for i in range(-300, 300, 11)],
    "close together": [1 + i * 1e-15 for i in range(100)],
    "without end": [math.inf, -math.inf, math.nan, 1.0, 2.0, math.inf, math.nan],
}


def numbers(spark: SparkSession, name: str) -> DataFrame:
    return spark.createDataFrame([(value,) for value in NUMBERS[name]], "value double").repartition(3)


def plain(value: float | None) -> str:
    """Return a number as comparable text: NaN equals NaN, and zero has no sign."""
    return str(value if value is None else value + 0.0)


@pytest.mark.parametrize("name", NUMBERS)
def test_percent_ranks_are_those_of_sql(spark: SparkSession, name: str) -> None:
    frame = numbers(spark, name)
    rank = F.percent_rank().over(Window.partitionBy(F.lit(1)).orderBy("value"))
    expected = {(plain(row.value), row.rank) for row in frame.withColumn("rank", rank).collect()}
    assert {(plain(row.value), row.rank) for row in percent_ranks(frame, "value").collect()} == expected


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("share", [0.0, 1 - 0.9, 0.5, 1 - 0.1, 1.0])
def test_quantiles_are_those_of_sql(spark: SparkSession, name: str, share: float) -> None:
    frame = numbers(spark, name)
    expected = frame.agg(F.percentile("value", F.lit(share)).alias("quantile")).collect()
    found = quantile(frame, "value", share).collect()
    assert [plain(row.quantile) for row in found] == [plain(row.quantile) for row in expected]


def test_no_task_sees_all_rows(spark: SparkSession) -> None:
    with planned_as_for_large_tables(spark):
        for frame in (
            percent_ranks(numbers(spark, "few levels"), "value"),
            quantile(numbers(spark, "one"), "value", 0.5),
        ):
            assert gathered(frame, "bucket") == []
        window = F.percent_rank().over(Window.orderBy("value"))
        assert gathered(numbers(spark, "one").withColumn("rank", window)), "the plan that it replaces"
