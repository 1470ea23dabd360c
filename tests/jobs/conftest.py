"""A finished lake for the commands that only look at one."""

import pytest
from pyspark.sql import SparkSession

from jobs.lake.tables import Lake
from tests.jobs.synthetic_lake import synthetic_lake


@pytest.fixture(scope="session")
def finished_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Written once, only to be read."""
    return synthetic_lake(spark, str(tmp_path_factory.mktemp("finished") / "lake"))
