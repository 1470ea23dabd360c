"""The first rows by hash equal those of a full sort, and no task reads all rows."""

import hashlib

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tests.plans import gathered, planned_as_for_large_tables
from transforms.dedup.drawing import first_by_hash, last_of_first

pytestmark = pytest.mark.spark


def hashed(spark: SparkSession, n: int) -> DataFrame:
    return spark.range(n).select(F.sha2(F.col("id").cast("string"), 256).alias("id"), F.lit("text").alias("text"))


@pytest.mark.parametrize(("n", "first"), [(0, 5), (1, 1), (300, 0), (300, 1), (300, 150), (300, 300), (300, 301)])
def test_first_by_hash_equals_sorting(spark: SparkSession, n: int, first: int) -> None:
    order = sorted(hashlib.sha256(str(i).encode()).hexdigest() for i in range(n))
    assert sorted(row.id for row in first_by_hash(hashed(spark, n), "id", first).collect()) == order[:first]
    last = last_of_first(hashed(spark, n), "id", first).collect()
    assert [row.last for row in last] == [(order[:first] or [""])[-1]]


def test_hashes_with_a_common_prefix_are_ordered(spark: SparkSession) -> None:
    names = [f"{prefix}{i:02}" for prefix in ("aaaa", "bbbb") for i in range(20)]
    frame = spark.createDataFrame([(name,) for name in reversed(names)], "id string")
    for n in (1, 19, 20, 21, 39, 40):
        assert sorted(row.id for row in first_by_hash(frame, "id", n).collect()) == names[:n]


def test_no_task_sees_all_rows(spark: SparkSession) -> None:
    with planned_as_for_large_tables(spark):
        assert gathered(first_by_hash(hashed(spark, 100), "id", 10)) == []
        assert gathered(hashed(spark, 100).orderBy("id").limit(10).where("id > 'a'")), "the plan that it replaces"
