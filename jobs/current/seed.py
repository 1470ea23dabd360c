"""The seed pairs that an experiment has drawn, and those of them that its models never see."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lake.tables import Lake
from schemas.silver import SEED_PAIRS


def seed_pairs(lake: Lake, experiment: str) -> DataFrame:
    """Return the experiment's rows of `silver.seed_pairs`."""
    return lake.read(SEED_PAIRS).where(F.col("experiment") == experiment)


def held_out_pairs(lake: Lake, experiment: str, n: int) -> DataFrame:
    """Return the first `n` pairs, by id, that are held out from training; every check of models uses these."""
    return seed_pairs(lake, experiment).where("split = 'dev'").orderBy("pair_id").limit(n)
