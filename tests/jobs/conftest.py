"""A finished lake as Spark reads it, for tests of read-only commands."""

import pytest
from pyspark.sql import SparkSession

from jobs.lake.tables import Lake


@pytest.fixture(scope="session")
def finished_lake(spark: SparkSession, finished_root: str) -> Lake:
    """A lake that is written once per session; tests only read it."""
    return Lake(spark, finished_root)
