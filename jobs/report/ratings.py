"""What the scorers said: distributions, lengths, examples and answers."""

from collections import defaultdict
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.current.methods import of_method
from jobs.current.pool import pool
from jobs.current.ratings import scores_of_models
from jobs.current.seed import seed_pairs
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.report.facts import Experiment, Row, rows
from schemas.gold import CURATED, GENERATIONS
from schemas.silver import OVERLAPS, SCORES
from schemas.table import Table
from transforms.scoring.curation import Selection, select_curated
from transforms.scoring.scorers import SCORERS

BINS = 32
MAX_TEXT = 1200
MAX_EXAMPLES = 3
MAX_PROMPTS = 12
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def current(lake: Lake, table: Table, subject: Experiment) -> DataFrame:
    """A table's scores by the experiment's models and by the methods that count."""
    models = [*subject.forward.values(), *subject.backward.values()]
    found = scores_of_models(lake, table, subject.methods, models)
    return materialised(found.select("pair_id", "score", "status", "scorer", "model_id", "method_digest"))


def histograms(scores: DataFrame, subject: Experiment) -> list[Row]:
    """For each scorer and model: counts in equal bins from `low` to `high`, and of each status.

    One scorer has one scale for all its models: its own, or the range without the outermost 1 %,
    whose rows are counted in the bins at the ends.
    """
    found = []
    for scorer, n, quantiles in (
        scores.groupBy("scorer")
        .agg(F.count("score"), F.percentile_approx("score", [0.005, 0.995]))
        .orderBy("scorer")
        .collect()
    ):
        low, high = SCORERS[scorer].scale or (quantiles if n else (0.0, 1.0))
        width = (high - low) / BINS or 1.0
        inside = F.greatest(F.lit(0), F.least(F.lit(BINS - 1), F.floor((F.col("score") - low) / width)))
        place = F.when(F.col("score").isNotNull(), inside)  # greatest and least pass over a null
        counted = scores.where(F.col("scorer") == scorer).groupBy("model_id", "status", place.alias("bin"))
        by_model: dict[str, list[Row]] = defaultdict(list)
        for row in rows(counted.agg(F.count("*").alias("n"))):
            by_model[row["model_id"]].append(row)
        for iteration, model_id in sorted([*subject.forward.items(), *subject.backward.items()]):
            counts, statuses = [0] * BINS, defaultdict[str, int](int)
            for row in by_model.get(model_id, ()):
                statuses[row["status"]] += row["n"]
                if row["bin"] is not None:
                    counts[row["bin"]] += row["n"]
            if statuses:
                found.append(
                    {
                        "scorer": scorer,
                        "model_id": model_id,
                        "iteration": iteration + 1,
                        "low": low,
                        "high": low + BINS * width,
                        "counts": counts,
                        "statuses": dict(statuses),
                    }
                )
    return found


def lengths(lake: Lake, subject: Experiment) -> list[Row]:
    """Quantiles of the characters of instructions and responses: seed, candidates, each curated set."""
    mine = F.col("experiment") == subject.name
    curated = lake.read(CURATED).where(mine)
    name = F.concat(F.lit("curated, iteration "), F.col("iteration").cast("string"))
    pairs = [
        seed_pairs(lake, subject.name).select(F.lit("seed").alias("set"), "instruction", "response"),
        subject.pairs(lake).select(F.lit("candidates").alias("set"), "instruction", "response"),
        curated.select(name.alias("set"), "instruction", "response"),
    ]
    found: list[Row] = []
    for frame in pairs:
        quantiles = [
            F.percentile_approx(F.length(side), [*QUANTILES]).alias(side) for side in ("instruction", "response")
        ]
        found += rows(frame.groupBy("set").agg(F.count("*").alias("n"), *quantiles).orderBy("set"))
    return found


def examples(lake: Lake, scores: DataFrame, subject: Experiment) -> Row:
    """A few pairs kept in the last curated iteration, and a few rejected for each reason, in hash order.

    A pair that reached the threshold and yet was not kept was stopped by a gate.
    """
    curated = lake.read(CURATED).where(F.col("experiment") == subject.name)
    newest = curated.orderBy(F.desc("iteration")).first()
    if newest is None:
        return {"iteration": None, "kept": [], "rejected": []}
    kept = curated.where(F.col("iteration") == newest.iteration)
    urls = pool(lake, subject.name).select("segment_id", "url")
    scorers = newest.scorer.split("+")
    models = {"forward": newest.model_id, "backward": subject.backward[0]}
    judged = select_curated(
        subject.pairs(lake).join(urls, "segment_id"),
        lake.read(SCORES),
        lake.read(OVERLAPS).where(F.col("experiment") == subject.name),
        Selection(
            scorers=scorers,
            methods={
                name: (models[SCORERS[name].direction], digest)
                for name, digest in zip(scorers, newest.method_digests, strict=False)  # the gates' come after
            },
            threshold=newest.threshold,
        ),
        experiment=subject.name,
        iteration=newest.iteration,
        model_id=newest.model_id,
    )
    mine = scores.where(F.col("model_id").isin(*models.values()))
    rejected = judged.join(kept.select("pair_id"), "pair_id", "left_anti")
    reason = F.coalesce("drop_reason", F.lit(_gate(subject)))
    return {
        "iteration": newest.iteration,
        "kept": _with_scores(mine, _few(kept.withColumn("drop_reason", F.lit("")), 2 * MAX_EXAMPLES)),
        "rejected": _with_scores(mine, _few(rejected.withColumn("drop_reason", reason), MAX_EXAMPLES)),
    }


def _gate(subject: Experiment) -> str:
    """The gate of the last curation, by the row accounts; plain `gate` where it had several."""
    dropped = [run["dropped"] for run in subject.runs if run["job"] == "curate" and run["n_in"]]
    gates = [reason for reason in (dropped[-1] if dropped else {}) if reason.startswith("gate_")]
    return gates[0] if len(gates) == 1 else "gate"


def _few(pairs: DataFrame, n: int) -> list[Row]:
    by_hash = Window.partitionBy("drop_reason").orderBy(F.xxhash64("pair_id"), "pair_id")
    shortened = [F.substring(side, 1, MAX_TEXT + 1).alias(side) for side in ("instruction", "response")]
    some = pairs.withColumn("place", F.row_number().over(by_hash)).where(F.col("place") <= n)
    facts = some.select("pair_id", "url", "score", "threshold", "drop_reason", "place", *shortened)
    return rows(facts.orderBy("drop_reason", "place"))


def _with_scores(scores: DataFrame, pairs: list[Row]) -> list[Row]:
    asked = F.col("pair_id").isin([pair["pair_id"] for pair in pairs])
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in rows(scores.where(asked).orderBy("scorer")):
        found[row["pair_id"]][row["scorer"]] = row["score"]
    return [pair | {"scores": found[pair["pair_id"]]} for pair in pairs]


def answers(lake: Lake, subject: Experiment) -> Row:
    """The answers of the first and the last forward model to the same prompts, side by side."""
    given = of_method(lake, GENERATIONS, subject.methods).where("sample = 0")
    given = given.where(F.col("model_id").isin([*subject.forward.values()]))
    who = {row.model_id for row in given.select("model_id").distinct().collect()}
    iterations = sorted(iteration for iteration, model_id in subject.forward.items() if model_id in who)
    if len(iterations) < 2:
        return {"iterations": iterations, "prompts": []}
    first, last = subject.forward[iterations[0]], subject.forward[iterations[-1]]
    output = F.substring("output", 1, MAX_TEXT + 1)
    prompt = F.substring("prompt", 1, MAX_TEXT + 1)
    sides = [
        given.where(F.col("model_id") == model_id).select("prompt_set", "prompt_id", prompt.alias("prompt"), text)
        for model_id, text in ((first, output.alias("first")), (last, output.alias("last")))
    ]
    both = sides[0].join(sides[1].drop("prompt"), ["prompt_set", "prompt_id"])
    shown = rows(both.orderBy("prompt_set", "prompt_id").limit(MAX_PROMPTS))
    return {"iterations": [iterations[0], iterations[-1]], "prompts": shown}
