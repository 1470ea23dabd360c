"""A finished lake for the commands that only look at one, as Spark has it."""

import pytest
from pyspark.sql import SparkSession

from jobs.lake.tables import Lake


@pytest.fixture(scope="session")
def finished_lake(spark: SparkSession, finished_root: str) -> Lake:
    """Written once, only to be read."""
    return Lake(spark, finished_root)
