"""Whether to trust the scores: the check on pairs whose truth is known, and what changed from model to model."""

from collections import defaultdict
from functools import partial
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.current.methods import of_method
from jobs.lake.tables import Lake
from jobs.report.facts import Experiment, Row, rows
from schemas.gold import JUDGEMENTS
from transforms.scoring.estimates import Floats, estimate
from transforms.scoring.judge_check import combined, measures
from transforms.scoring.known_pairs import OF_SEED

MAX_KNOWN = 2000  # of each kind: more would not narrow the interval that is shown
MAX_POINTS = 1000
PRECISION = 0.9


def known_checks(scores: DataFrame, subject: Experiment, thresholds: list[Row]) -> list[Row]:
    """For each scorer and model that rated held-out pairs: its scores of each kind, and what they are worth.

    After them, without scores, the best combination of those that one iteration can use. `thresholds`
    are those of curation (`scorer`, `iteration`, `threshold`).
    """
    kind = F.get(F.split("pair_id", "/"), F.lit(2))
    by_hash = Window.partitionBy("scorer", "model_id", kind).orderBy(F.xxhash64("pair_id"))
    some = (
        scores.where(F.startswith("pair_id", F.lit(OF_SEED)) & (F.col("status") == "ok"))
        .withColumn("place", F.row_number().over(by_hash))
        .where(F.col("place") <= MAX_KNOWN)
        .select("pair_id", "scorer", "model_id", "score", kind.alias("kind"))
    )
    by_judge: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows(some.orderBy("pair_id")):
        by_judge[row["scorer"], row["model_id"]].append(row)
    kept_from = {(row["scorer"], row["iteration"] - 1): row["threshold"] for row in thresholds}
    iterations = {model_id: t for models in (subject.backward, subject.forward) for t, model_id in models.items()}
    found = []
    for scorer, model_id in sorted(by_judge, key=lambda judge: (judge[0], iterations[judge[1]])):
        rated, least = by_judge[scorer, model_id], kept_from.get((scorer, iterations[model_id]))
        figures = [
            *measures(
                [(row["pair_id"], scorer, model_id, row["score"]) for row in rated],
                thresholds={} if least is None else {scorer: least},
                target=PRECISION,
            )
        ]
        by_kind: dict[str, list[float]] = defaultdict(list)
        for row in rated:
            by_kind[row["kind"]].append(row["score"])
        check = {"scorer": scorer, "model_id": model_id, "iteration": iterations[model_id], "scores": dict(by_kind)}
        found.append(check | {"measures": figures})
    for t, forward in sorted(subject.forward.items()):
        usable = {judge: rated for judge, rated in by_judge.items() if judge[1] in (forward, subject.backward.get(0))}
        figures = combined([(r["pair_id"], *judge, r["score"]) for judge, rated in usable.items() for r in rated])
        found.append({"scorer": "combined", "model_id": forward, "iteration": t, "scores": {}, "measures": figures})
    return [check for check in found if check["measures"]]


def drift(scores: DataFrame, subject: Experiment, thresholds: list[Row]) -> list[Row]:
    """For each curating scorer and pair of successive models: how many candidates changed sides of k, and some scores.

    Each model's side is that of its own iteration's threshold.
    """
    found = []
    k = {(row["scorer"], row["iteration"]): row["threshold"] for row in thresholds}
    for (scorer, t), before in sorted(k.items()):
        after = k.get((scorer, t + 1))
        old, new = subject.forward.get(t - 1), subject.forward.get(t)
        if after is None or old is None or new is None:
            continue
        mine = scores.where((F.col("scorer") == scorer) & (F.col("status") == "ok"))
        both = (
            mine.where(F.col("model_id").isin(old, new))
            .groupBy("pair_id")
            .pivot("model_id", [old, new])
            .agg(F.first("score"))
            .toDF("pair_id", "old", "new")
            .where("old IS NOT NULL AND new IS NOT NULL")
        )
        was, stays = F.col("old") >= before, F.col("new") >= after
        counts: Any = both.agg(
            F.count("*").alias("n"),
            F.count_if(was & ~stays).alias("falls"),
            F.count_if(~was & stays).alias("rises"),
            F.corr("old", "new").alias("correlation"),
        ).first()
        if not counts.n:
            continue  # a combination of scorers: its ranks are in no table
        points = both.orderBy(F.xxhash64("pair_id")).limit(MAX_POINTS).select("old", "new").collect()
        found.append(
            {
                "scorer": scorer,
                "iteration": t,
                "before": before,
                "after": after,
                **counts.asDict(),
                "points": [(point.old, point.new) for point in points],
            }
        )
    return found


def win_rates(lake: Lake, subject: Experiment) -> list[Row]:
    """For each judge and pair of the experiment's models: the mean preference as a share, with its interval.

    A prompt without a verdict leaves the count; it is no loss.
    """
    iterations = {model_id: iteration for iteration, model_id in subject.forward.items()}
    judged = of_method(lake, JUDGEMENTS, subject.methods).where(
        F.col("model_id").isin([*iterations]) & F.col("reference_id").isin([*iterations])
    )
    sides = ["judge_id", "prompt_set", "model_id", "reference_id", "method_digest"]
    found = rows(
        judged.groupBy(*sides)
        .agg(F.sort_array(F.collect_list(F.col("preference") - 1)).alias("wins"), F.count("*").alias("n_asked"))
        .orderBy(*sides)
    )
    for one in found:
        wins = np.array(one.pop("wins"))
        weighed = partial(_mean, wins)
        one["rate"] = estimate(weighed, np.arange(len(wins))) if len(wins) else None
        one |= {"n": len(wins), "iteration": iterations[one["model_id"]], "reference": iterations[one["reference_id"]]}
    return found


def _mean(values: Floats, weight: Floats | None = None) -> float:
    return float(np.average(values, weights=weight))
