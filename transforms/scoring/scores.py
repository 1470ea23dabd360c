"""Self-curation: build the requests for ratings, and turn a model's answers into scores.

A pair to be scored has `pair_id`, `instruction` and `response`. Every scorer reads the
ledger's raw answers, so that a better parser (`PARSER` is its version) needs no model call.
"""

from collections.abc import Mapping
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from transforms.prompting.prompts import Template
from transforms.prompting.requests import answers_to, gathered, left_out, rejected_if_refused
from transforms.scoring.scorers import ModelFreeScorer, Scorer

PARSER = "scores/5"


def score_prompts(pairs: DataFrame, *, scorer: Scorer, system: str) -> DataFrame:
    """Return the scorer's prompts for each pair; `system` is the system message of a forward model's training."""
    question = scorer.question
    prompts = [F.struct(_filled(t).alias("prompt"), _text(part).alias("part")) for part, t in question.prompts.items()]
    return pairs.select(
        F.col("pair_id").alias("subject_id"),
        F.lit(system if scorer.tagged else "").alias("system"),
        F.inline(F.array(*prompts)),
        F.lit(scorer.template.prefill).alias("prefill"),
        (F.col(question.span) if question.span else _text(None)).alias("span"),
    )


def scores_from(
    requests: DataFrame, completions: DataFrame, *, scorer: Scorer, model_id: str, method_digest: str
) -> DataFrame:
    """Return rows of `silver.scores` or `silver.known_scores`, one for every subject of `requests`.

    The readable samples of a rating are averaged. If an answer is still missing, the row has the
    `drop_reason` `unanswered`, and a later run requests it again. If a request was refused, the row is
    `rejected`, with the reason.
    """
    answers = answers_to(requests, completions)
    rating, (low, high) = scorer.kind.rating(), scorer.kind.bounds
    rated = answers.groupBy(F.col("subject_id").alias("pair_id")).agg(
        rating.score.alias("score"),
        rating.status.alias("status"),
        rating.label_mass.alias("label_mass"),
        *gathered(),
    )
    return rated.select(
        F.lit(method_digest).alias("method_digest"),
        "pair_id",
        F.lit(model_id).alias("model_id"),
        F.lit(scorer.name).alias("scorer"),
        F.when(F.col("status") == "ok", F.col("score")).alias("score"),
        F.lit(low).cast("double").alias("scale_low"),
        F.lit(high).cast("double").alias("scale_high"),
        "status",
        "label_mass",
        F.lit(PARSER).alias("parser"),
        "request_ids",
        *left_out(),
    )


def computed_scores(
    pairs: DataFrame, *, scorer: ModelFreeScorer, seed: str, model_id: str, method_digest: str
) -> DataFrame:
    """Return the rows of `scores_from` for a scorer that asks no model; `model_id` is the model of its direction."""
    low, high = scorer.scale
    return pairs.select(
        F.lit(method_digest).alias("method_digest"),
        "pair_id",
        F.lit(model_id).alias("model_id"),
        F.lit(scorer.name).alias("scorer"),
        scorer.score(seed).alias("score"),
        F.lit(low).alias("scale_low"),
        F.lit(high).alias("scale_high"),
        F.lit("ok").alias("status"),
        F.lit(None).cast("double").alias("label_mass"),
        F.lit(scorer.version).alias("parser"),
        F.array().cast("array<string>").alias("request_ids"),
        _text(None).alias("drop_reason"),
        rejected_if_refused(_text(None)),
    )


def made_by(scores: DataFrame, methods: Mapping[str, tuple[str, str]]) -> DataFrame:
    """Select the scores made by `methods`: scorer -> its model and method digest."""
    each = [
        (F.col("scorer") == scorer) & (F.col("model_id") == model_id) & (F.col("method_digest") == digest)
        for scorer, (model_id, digest) in methods.items()
    ]
    return scores.where(reduce(or_, each))


def _filled(template: Template) -> Column:
    return template.filled(instruction=F.col("instruction"), response=F.col("response"))


def _text(value: str | None) -> Column:
    return F.lit(value).cast("string")
