"""Generated requests for the benchmarks of waves and planning."""

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from model_ops.serving.model import Model
from transforms.prompting.requests import requests_from

MODEL = Model("m-1", "none", "d", "none")


def requests(spark: SparkSession, first: int, last: int, prompt: Column) -> DataFrame:
    """Generate one request per number `id` from `first` to below `last`; `prompt` may use the column `id`."""
    nothing = F.lit("")
    prompts = spark.range(first, last).select(
        F.col("id").cast("string").alias("subject_id"),
        nothing.alias("system"),
        prompt.alias("prompt"),
        nothing.alias("prefill"),
        F.lit(None).cast("string").alias("span"),
    )
    return requests_from(
        prompts,
        stage="candidates",
        model_id=MODEL.model_id,
        model_digest=MODEL.digest,
        prompt_id="p",
        sampling={"temperature": 0.7, "max_tokens": 9},
    )
