"""Pairwise verdicts of a judge on two models' answers, requested in both orders."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from transforms.prompting.prompts import VERDICT
from transforms.prompting.requests import answers_to, gathered, left_out
from transforms.scoring.answer_kinds import expected_label, label_sampling

PARSER = "judgements/2"
LABELS = ["1", "2"]
SAMPLING = label_sampling(LABELS)


def verdict_prompts(answers: DataFrame, *, swapped: bool) -> DataFrame:
    """Return the judge's prompts about answers (`prompt_id`, `prompt`, `output`, `reference`).

    `swapped` puts the reference first.
    """
    first, second = ("reference", "output") if swapped else ("output", "reference")
    prompt = VERDICT.filled(instruction=F.col("prompt"), first=F.col(first), second=F.col(second))
    return answers.select(
        F.col("prompt_id").alias("subject_id"),
        F.lit("").alias("system"),
        prompt.alias("prompt"),
        F.lit(VERDICT.prefill).alias("prefill"),
        F.lit(None).cast("string").alias("span"),
    )


def judgements_from(requests: DataFrame, swapped: DataFrame, completions: DataFrame, **facts: str) -> DataFrame:
    """Return rows of `gold.judgements` from the requests in both orders; `facts` are columns that all rows share.

    `preference` is 1 plus the probability that the model's answer is the better one: 1 - p(2) when it
    stands first, p(2) when second, averaged over both orders to cancel the judge's position bias.
    If an answer is still missing, the row has the `drop_reason` `unanswered`; if a request was
    refused, the row is `rejected`, with the reason.
    """
    asked = requests.withColumn("turned", F.lit(False)).unionByName(swapped.withColumn("turned", F.lit(True)))
    second = expected_label(F.col("label_logprobs"), LABELS) - 1
    wins = F.when(F.col("turned"), second).otherwise(1 - second)
    answers = answers_to(asked, completions).withColumn("wins", wins)
    both = answers.groupBy("subject_id").agg(
        F.count("wins").alias("n"),
        F.mean("wins").alias("share"),
        F.count_if(F.col("answered") != "ok").alias("failed"),
        *gathered(),
    )
    status = F.when(F.col("failed") > 0, "failed").when(F.col("n") < 2, "unparsed").otherwise("ok")
    shared = [F.lit(value).alias(name) for name, value in facts.items()]
    return both.select(
        *shared,
        F.col("subject_id").alias("prompt_id"),
        F.when(status == "ok", 1 + F.col("share")).alias("preference"),
        status.alias("status"),
        "request_ids",
        *left_out(),
    )
