"""Select A_k: the pairs of one iteration that are good enough for training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from schemas.gold import CURATED
from transforms.dedup.drawing import last_of_first
from transforms.scoring.leaks import leak_of
from transforms.scoring.ranks import percent_ranks, quantile
from transforms.scoring.scores import made_by


@dataclass(frozen=True)
class Selection:
    """The scores by which pairs are kept.

    `methods` gives for each scorer and gate the model and method digest whose scores count. The score of
    a single scorer is used directly; several are combined by their mean percentile rank (0 to 1) over the
    pairs that all of them scored. `gates` are minimum scores of other scorers. With `top_fraction` the
    threshold is the score that this fraction of the pairs that pass the gates reaches. `max_leak` is a gate on
    the `leak` of a pair's instruction. `per_segment` is the last gate: the most pairs of one segment that pass,
    those with the highest scores; the lowest ids break ties. `max_pairs` keeps at most this number of the pairs that
    pass everything, the first by id, which is a hash; a smaller set is part of a larger one.
    """

    scorers: Sequence[str]
    methods: Mapping[str, tuple[str, str]]
    threshold: float | None = None
    top_fraction: float | None = None
    gates: Mapping[str, float] = field(default_factory=dict)
    max_leak: float | None = None
    per_segment: int | None = None
    max_pairs: int | None = None

    @property
    def needed(self) -> list[str]:
        """The scorers whose score a pair needs to be kept."""
        return sorted({*self.scorers, *self.gates})


def select_curated(
    pairs: DataFrame, scores: DataFrame, overlaps: DataFrame, selection: Selection, **facts: str | int
) -> DataFrame:
    """Return rows of `gold.curated`, and dropped pairs with `drop_reason`; `facts` are columns that all rows share.

    `pairs` carry `segment_id` and `url`; `overlaps` lists the segments that share text with seed or evaluation
    data. Reasons: `overlap`, `unscored`, `leaked`, `gate_<scorer>`, `not_best` (of its segment), `below_threshold`,
    `not_drawn`.
    """
    overlapping = overlaps.select("segment_id", F.lit(True).alias("overlaps")).distinct()
    pairs = pairs.join(overlapping, "segment_id", "left")
    leaked = F.lit(False)
    if selection.max_leak is not None:
        leaked = leak_of(F.col("instruction"), F.col("response")) > selection.max_leak
    clean = pairs.where("overlaps IS NULL").select("pair_id", "segment_id", leaked.alias("leaked"))
    scored = _thresholded(_scored(scores, clean, selection), selection)
    reason = (
        F.when(F.col("overlaps"), "overlap")
        .when(F.col("score").isNull(), "unscored")
        .when(F.col("gate").isNotNull(), F.col("gate"))
        .when(F.col("score") < F.col("threshold"), "below_threshold")
    )
    digests = [F.lit(selection.methods[name][1]) for name in (*selection.scorers, *selection.gates)]
    shared = {name: F.lit(value) for name, value in facts.items()}
    shared |= {"scorer": F.lit("+".join(selection.scorers)), "method_digests": F.array(*digests)}
    judged = pairs.join(scored.drop("segment_id"), "pair_id", "left").withColumns(shared)
    rows = judged.select(*CURATED.columns, reason.alias("drop_reason"))
    return rows if selection.max_pairs is None else drawn(rows, selection.max_pairs)


def drawn(rows: DataFrame, n: int) -> DataFrame:
    """Drop the kept rows of `gold.curated` after the first `n` by id as `not_drawn`."""
    last = F.broadcast(last_of_first(rows.where("drop_reason IS NULL"), "pair_id", n))
    reason = F.coalesce("drop_reason", F.when(F.col("pair_id") > F.col("last"), "not_drawn"))
    return rows.crossJoin(last).withColumn("drop_reason", reason).drop("last")


def _scored(scores: DataFrame, clean: DataFrame, selection: Selection) -> DataFrame:
    """Return the `clean` pairs that have every score, with the `score` that counts and the first `gate` they fail."""
    rated = made_by(scores, selection.methods).where("status = 'ok' AND NOT isnan(score)")  # NaN sorts as the highest
    rated = rated.join(clean, "pair_id", "left_semi")  # also removes the pairs of the judge check
    wide = rated.groupBy("pair_id").pivot("scorer", [*selection.needed]).agg(F.first("score")).join(clean, "pair_id")
    complete = " AND ".join(f"`{name}` IS NOT NULL" for name in selection.needed)
    fails = [F.when(F.col(name) < minimum, F.lit(f"gate_{name}")) for name, minimum in selection.gates.items()]
    complete_ones = _with_score(wide.where(complete), selection.scorers)
    gated = complete_ones.withColumn("gate", F.coalesce(F.when(F.col("leaked"), "leaked"), *fails))
    if selection.per_segment is None:
        return gated
    of_segment = Window.partitionBy("segment_id", "gate").orderBy(F.desc("score"), "pair_id")
    is_beyond = F.col("gate").isNull() & (F.row_number().over(of_segment) > selection.per_segment)
    return gated.withColumn("gate", F.when(is_beyond, "not_best").otherwise(F.col("gate")))


def _with_score(scored: DataFrame, scorers: Sequence[str]) -> DataFrame:
    """Add the `score` that counts: the only scorer's, or the mean percentile rank of several."""
    if len(scorers) == 1:
        return scored.withColumn("score", F.col(scorers[0]))
    ranked, ranks = scored, []
    for name in scorers:
        ranks.append(F.col(f"rank_{name}"))
        places = percent_ranks(scored, name).select(F.col("value").alias(name), F.col("rank").alias(f"rank_{name}"))
        ranked = ranked.join(places, name)
    return ranked.withColumn("score", sum(ranks[1:], ranks[0]) / len(ranks)).drop(*(f"rank_{name}" for name in scorers))


def _thresholded(scored: DataFrame, selection: Selection) -> DataFrame:
    """Add the `threshold` that a pair's score must reach."""
    if selection.top_fraction is None:
        return scored.withColumn("threshold", F.lit(float(selection.threshold or 0.0)))
    threshold = quantile(scored.where("gate IS NULL"), "score", 1 - selection.top_fraction)
    return scored.crossJoin(F.broadcast(threshold.select(F.col("quantile").alias("threshold"))))
