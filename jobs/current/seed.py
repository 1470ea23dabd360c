"""The seed pairs that an experiment has drawn."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lake.tables import Lake
from schemas.silver import SEED_PAIRS


def seed_pairs(lake: Lake, experiment: str) -> DataFrame:
    """Return the experiment's rows of `silver.seed_pairs`."""
    return lake.read(SEED_PAIRS).where(F.col("experiment") == experiment)
