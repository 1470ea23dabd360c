"""Build requests from evaluation prompts, and turn a forward model's answers into generations."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.gold import GENERATIONS
from transforms.prompting.prompts import FORWARD
from transforms.prompting.requests import refusal, rejected_if_refused


def forward_prompts(prompts: DataFrame, *, system: str) -> DataFrame:
    """Return the forward model's prompt for each evaluation prompt (`prompt_id`, `prompt`)."""
    return prompts.select(
        F.col("prompt_id").alias("subject_id"),
        F.lit(system).alias("system"),
        FORWARD.filled(instruction=F.col("prompt")).alias("prompt"),
        F.lit(FORWARD.prefill).alias("prefill"),
        F.lit(None).cast("string").alias("span"),
    )


def generations_from(
    prompts: DataFrame, requests: DataFrame, completions: DataFrame, *, prompt_set: str, method_digest: str
) -> DataFrame:
    """Return rows of `gold.generations`; an answer truncated by the token limit counts.

    A prompt without an answer keeps a row, with the `drop_reason` `failed` or `empty`, or with `rejected` for a
    refused request.
    """
    asked = requests.select("request_id", "subject_id", "model_id", "sample")
    answers = asked.join(completions.select("request_id", "text", "status", "error"), "request_id", "left")
    rows = prompts.join(answers, F.col("prompt_id") == F.col("subject_id"))
    reason = F.when(
        ~F.coalesce(F.col("status").isin("ok", "cut", "refused"), F.lit(False)), F.coalesce("status", F.lit("failed"))
    )
    return (
        rows.withColumn("prompt_set", F.lit(prompt_set))
        .withColumn("method_digest", F.lit(method_digest))
        .withColumn("output", F.coalesce("text", F.lit("")))
        .select(*GENERATIONS.columns, reason.alias("drop_reason"), rejected_if_refused(refusal()))
    )
