"""Self-augmentation: build the requests for instructions, and turn a backward model's answers into candidates."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from schemas.silver import CANDIDATES
from transforms.prompting.prompts import BACKWARD
from transforms.prompting.requests import refusal, rejected_if_refused


def backward_prompts(segments: DataFrame) -> DataFrame:
    """Return the backward model's prompt for each segment (`segment_id`, `text`)."""
    return segments.select(
        F.col("segment_id").alias("subject_id"),
        F.lit("").alias("system"),
        BACKWARD.filled(response=F.col("text")).alias("prompt"),
        F.lit(BACKWARD.prefill).alias("prefill"),
        F.lit(None).cast("string").alias("span"),
    )


PARSER = "candidates/2"


def candidates_from(
    segments: DataFrame, requests: DataFrame, completions: DataFrame, written: DataFrame, *, method_digest: str
) -> DataFrame:
    """Return rows of `silver.candidates` from the answers to `requests`; `PARSER` is the version of this parser.

    An answer without a usable instruction keeps a row, with the `drop_reason` `failed`, `cut`, `empty`,
    `copies_segment` (the instruction is over 200 characters of the segment, a known failure of small
    backward models) or `repeated` (the segment has this instruction from another sample, which is among the
    `written` candidates or has a lower number), or with `rejected` for a refused request.
    """
    requests = requests.select("request_id", "subject_id", "model_id", "sample")
    written = written.select("request_id", F.col("segment_id").alias("subject_id"), F.lit(True).alias("is_written"))
    answers = requests.join(written, ["request_id", "subject_id"], "left").join(
        completions.select("request_id", "text", "status", "error"), "request_id", "left"
    )
    instruction = F.regexp_replace("answer", r"(?i)^\s*(instruction|question)\s*:\s*", "")
    instruction = F.regexp_replace(instruction, r"^\s+|\s+$", "")
    rows = (
        segments.select("segment_id", F.col("text").alias("response"))
        .join(answers.withColumnRenamed("text", "answer"), F.col("subject_id") == F.col("segment_id"))
        .withColumn("instruction", F.coalesce(instruction, F.lit("")))
        .withColumn("method_digest", F.lit(method_digest))
    )
    reason = (
        F.when(F.col("status").isNull(), "failed")
        .when(F.col("status").isin("cut", "empty"), F.col("status"))
        .when(F.col("status") == "refused", None)
        .when(F.col("instruction") == "", "empty")
        .when(F.contains("response", "instruction") & (F.length("instruction") > 200), "copies_segment")
    )
    rows = rows.withColumn("reason", reason).withColumn("usable", F.col("reason").isNull() & (F.col("status") == "ok"))
    equal = Window.partitionBy("segment_id", "instruction", "usable")
    place = F.row_number().over(equal.orderBy(F.desc_nulls_last("is_written"), "sample"))
    reason = F.when(F.col("usable") & (place > 1), "repeated").otherwise(F.col("reason"))
    candidate_id = F.sha2(F.concat_ws("\u001f", "method_digest", "segment_id", "model_id", "request_id"), 256)
    return rows.withColumn("candidate_id", candidate_id).select(
        *CANDIDATES.columns, reason.alias("drop_reason"), rejected_if_refused(refusal())
    )
