"""A_k: which pairs of one iteration are good enough to train on."""

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from schemas.gold import CURATED
from transforms.scoring.scores import made_by


def select_curated(
    pairs: DataFrame,
    scores: DataFrame,
    overlaps: DataFrame,
    *,
    experiment: str,
    iteration: int,
    model_id: str,
    methods: Mapping[str, tuple[str, str]],
    scorers: Sequence[str],
    threshold: float | None,
    top_fraction: float | None,
    gates: Mapping[str, float],
) -> DataFrame:
    """Rows of `gold.curated`, and the others with their `drop_reason`.

    `pairs` carry `segment_id` and `url`; `overlaps` names the segments that share text with what must be kept out;
    `methods` says of each scorer and gate whose scores count: its model and method digest. One scorer is used
    as it is; several are combined by their mean percentile rank (0 to 1) over the pairs that all of them
    scored. With `top_fraction` the threshold is that quantile of the pairs that pass the gates. Reasons:
    `overlap`, `unscored`, `gate_<scorer>`, `below_threshold`.
    """  # fmt: skip
    rated = made_by(scores, methods).where("status = 'ok'")
    known = overlaps.select("segment_id", F.lit(True).alias("overlaps")).distinct()
    pairs = pairs.join(known, "segment_id", "left")
    clean = pairs.where("overlaps IS NULL").select("pair_id")
    rated = rated.join(clean, "pair_id", "left_semi")  # which no pair of the judge check is, either
    needed: list[bool | float | int | str] = sorted({*scorers, *gates})
    wide = rated.groupBy("pair_id").pivot("scorer", [*needed]).agg(F.first("score"))
    complete = " AND ".join(f"`{name}` IS NOT NULL" for name in needed)
    if len(scorers) == 1:
        score = F.col(scorers[0])
    else:
        ranks = [F.percent_rank().over(Window.orderBy(F.col(name))) for name in scorers]
        score = sum(ranks[1:], ranks[0]) / len(ranks)
    scored = wide.where(complete).withColumn("score", score)
    fails = [F.when(F.col(name) < least, F.lit(f"gate_{name}")) for name, least in gates.items()]
    scored = scored.withColumn("gate", F.coalesce(*fails) if fails else F.lit(None).cast("string"))
    if top_fraction is not None:
        cut = scored.where("gate IS NULL").agg(F.percentile("score", F.lit(1 - top_fraction)).alias("threshold"))
        scored = scored.crossJoin(F.broadcast(cut))
    else:
        scored = scored.withColumn("threshold", F.lit(float(threshold if threshold is not None else 0.0)))
    reason = (
        F.when(F.col("overlaps"), "overlap")
        .when(F.col("score").isNull(), "unscored")
        .when(F.col("gate").isNotNull(), F.col("gate"))
        .when(F.col("score") < F.col("threshold"), "below_threshold")
    )
    return (
        pairs.join(scored, "pair_id", "left")
        .withColumn("experiment", F.lit(experiment))
        .withColumn("iteration", F.lit(iteration))
        .withColumn("scorer", F.lit("+".join(scorers)))
        .withColumn("model_id", F.lit(model_id))
        .withColumn("method_digests", F.array(*(F.lit(methods[name][1]) for name in (*scorers, *gates))))
        .select(*CURATED.columns, reason.alias("drop_reason"))
    )
