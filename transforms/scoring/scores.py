"""Self-curation: requests that ask a model for ratings, and its answers as scores.

A pair to be scored has `pair_id`, `instruction` and `response`. Every scorer reads the
ledger's raw answers, so that a better parser (`PARSER` is its version) needs no model call.
"""

from collections.abc import Mapping
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from transforms.prompting.requests import refusal, rejected_if_refused
from transforms.scoring.scorers import END, LABELS, Scorer

PARSER = "scores/3"
GIVEN, ALONE = "given", "alone"
LAST_SCORE = r"(?i)(?:^|\n)\s*\**score\s*:\s*(\d+(?:\.\d+)?)(?:\s*/\s*5)?[.*\s]*$"
UNREAD = ("unparsed", "out_of_range", "cut")
"""What a written answer can be that a grammar would have prevented."""


def score_prompts(pairs: DataFrame, *, scorer: Scorer, system: str) -> DataFrame:
    """What `scorer` asks about each pair; a likelihood is asked for twice, given the other side and alone.

    `system` is what a forward model was trained with.
    """
    sides = {"instruction": F.col("instruction"), "response": F.col("response")}
    asked, span = scorer.template.filled(**sides).alias("prompt"), F.lit(None)
    prompts = [F.struct(asked, F.lit(None).cast("string").alias("part"))]
    if scorer.answer == "likelihood":
        lone = F.lit(alone(scorer)).alias("prompt")
        prompts = [F.struct(asked, F.lit(GIVEN).alias("part")), F.struct(lone, F.lit(ALONE).alias("part"))]
        span = sides["response" if scorer.direction == "forward" else "instruction"]
    elif scorer.answer == "end":
        span = sides["response"]
    return pairs.select(
        F.col("pair_id").alias("subject_id"),
        F.lit(system if scorer.tagged else "").alias("system"),
        F.inline(F.array(*prompts)),
        F.lit(scorer.template.prefill).alias("prefill"),
        span.cast("string").alias("span"),
    )


def alone(scorer: Scorer) -> str:
    """The prompt of a likelihood scorer that gives nothing away of the pair's other side."""
    return scorer.template.text.replace("{instruction}", "").replace("{response}", "")


def scores_from(
    requests: DataFrame, completions: DataFrame, *, scorer: Scorer, model_id: str, method_digest: str
) -> DataFrame:
    """Rows of `silver.scores` or `silver.known_scores`, one for every subject of `requests`, whatever its answers are.

    Several samples of a rating are averaged, over those that can be read. Where an answer is still
    missing the row has the `drop_reason` `unanswered`: it is asked for again. Where a request was
    refused the row is `rejected`, with the reason.
    """
    asked = requests.select("request_id", F.col("subject_id").alias("pair_id"), "part", "sample")
    answers = asked.join(
        completions.select(
            "request_id", "text", "label_logprobs", "span_logprob", "span_tokens",
            F.col("status").alias("answered"), refusal().alias("refusal"),
        ),
        "request_id",
        "left",
    )  # fmt: skip
    rated = _gains(answers) if scorer.answer == "likelihood" else _ratings(answers, scorer)
    return rated.select(
        F.lit(method_digest).alias("method_digest"),
        "pair_id",
        F.lit(model_id).alias("model_id"),
        F.lit(scorer.name).alias("scorer"),
        F.when(F.col("status") == "ok", F.col("score")).alias("score"),
        "status",
        "label_mass",
        F.lit(PARSER).alias("parser"),
        "request_ids",
        F.when(F.col("missing") > 0, "unanswered").alias("drop_reason"),
        rejected_if_refused(F.col("refusal")),
    )


def made_by(scores: DataFrame, methods: Mapping[str, tuple[str, str]]) -> DataFrame:
    """The scores of `methods`: scorer -> its model and method digest."""
    each = [
        (F.col("scorer") == scorer) & (F.col("model_id") == model_id) & (F.col("method_digest") == digest)
        for scorer, (model_id, digest) in methods.items()
    ]
    return scores.where(reduce(or_, each))


def written_score(reply: Column) -> Column:
    """The rating on the last line of a reply (`Score: 4`, `score: 4/5`, `**Score: 4**`), or null."""
    found = F.regexp_extract(reply, LAST_SCORE, 1)
    return F.when(found != "", found.try_cast("double"))


def expected_score(label_logprobs: Column) -> Column:
    """The mean of the labels under their renormalised probabilities; null unless all are there.

    Kept between the labels: where one is as good as certain, rounding may carry the mean a bit past it.
    """
    weighted = [F.exp(label_logprobs[label]) * float(label) for label in LABELS]
    total = sum(weighted[1:], weighted[0])
    mean, ends = total / label_mass(label_logprobs), (float(LABELS[0]), float(LABELS[-1]))
    return F.when(mean.isNotNull(), F.greatest(F.lit(ends[0]), F.least(F.lit(ends[1]), mean)))


def label_mass(label_logprobs: Column) -> Column:
    """The probability of all labels together: low means the prompt, not the pair, is at fault."""
    masses = [F.exp(label_logprobs[label]) for label in LABELS]
    return sum(masses[1:], masses[0])


def _ratings(answers: DataFrame, scorer: Scorer) -> DataFrame:
    labels = scorer.answer == "labels"
    value = {
        "written": written_score(F.col("text")),
        "labels": expected_score(F.col("label_logprobs")),
        "end": F.col("label_logprobs")[END],
    }[scorer.answer]
    least, most = scorer.scale or (float("-inf"), 0.0)  # a log-probability has no other
    status = (
        F.when(F.col("answered") == "cut", "cut")
        .when(~F.coalesce(F.col("answered") == "ok", F.lit(False)), "failed")
        .when(F.col("value").isNull(), "unparsed")
        .when(~F.col("value").between(least, most), "out_of_range")
        .otherwise("ok")
    )
    read = answers.withColumn("value", value).withColumn("outcome", status)
    good = F.col("outcome") == "ok"
    return read.groupBy("pair_id").agg(
        F.mean(F.when(good, F.col("value"))).alias("score"),
        F.when(F.bool_or(good), "ok").otherwise(F.min_by("outcome", "sample")).alias("status"),
        (F.mean(label_mass(F.col("label_logprobs"))) if labels else F.lit(None).cast("double")).alias("label_mass"),
        F.sort_array(F.collect_list("request_id")).alias("request_ids"),
        F.count_if(F.col("answered").isNull()).alias("missing"),
        F.min("refusal").alias("refusal"),
    )


def _gains(answers: DataFrame) -> DataFrame:
    """log p(one side | the other) - log p(that side), per token of that side, in nats."""
    sums = answers.groupBy("pair_id").agg(
        F.max(F.when(F.col("part") == GIVEN, F.col("span_logprob"))).alias("given"),
        F.max(F.when(F.col("part") == ALONE, F.col("span_logprob"))).alias("alone"),
        F.max("span_tokens").alias("tokens"),
        F.sort_array(F.collect_list("request_id")).alias("request_ids"),
        F.count_if(F.col("answered").isNull()).alias("missing"),
        F.min("refusal").alias("refusal"),
    )
    score = (F.col("given") - F.col("alone")) / F.when(F.col("tokens") > 0, F.col("tokens"))
    return (
        sums.withColumn("score", score)
        .withColumn("status", F.when(F.col("score").isNull(), "failed").otherwise("ok"))
        .withColumn("label_mass", F.lit(None).cast("double"))
    )
