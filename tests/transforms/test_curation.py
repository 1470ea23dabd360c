"""Selection of A_k: thresholds, top fractions, gates and combinations, and the drop reason of every other row."""

from collections.abc import Sequence
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from transforms.scoring.curation import Selection, select_curated

pytestmark = pytest.mark.spark

SCORES = {  # candidate -> scorer -> score
    "a": {"rubric": 5.0, "expected": 4.0},
    "b": {"rubric": 4.5, "expected": 1.0},
    "c": {"rubric": 4.0, "expected": 4.5},
    "d": {"rubric": 2.0, "expected": 3.0},
    "e": {"expected": 5.0},
}
TEXTS: dict[str, tuple[str, str]] = {}  # candidate -> instruction and response
SEGMENTS: dict[str, str] = {}  # candidate -> segment


def curated(spark: SparkSession, overlaps: Sequence[str] = (), **choice: object) -> dict[str, str | None]:
    rows = [
        (c, *TEXTS.get(c, (f"i{c}", f"r{c}")), "backtranslated", "M", SEGMENTS.get(c, f"s{c}"), f"u{c}") for c in SCORES
    ]
    columns = "pair_id string, instruction string, response string, origin string, model_id string, segment_id string, url string"
    values = [(c, "m0", scorer, score, "ok", "d") for c, by in SCORES.items() for scorer, score in by.items()]
    values += [
        ("e", "m0", "rubric", None, "unparsed", "d"),
        ("d", "m9", "rubric", 5.0, "ok", "d"),
        ("c", "m0", "rubric", 5.0, "ok", "another method"),
    ]
    # Candidates of other experiments change neither quantiles nor ranks.
    values += [(f"other/{n}", "m0", scorer, 5.0, "ok", "d") for n in range(9) for scorer in ("rubric", "expected")]
    scores = spark.createDataFrame(
        values,
        "pair_id string, model_id string, scorer string, score double, status string, method_digest string",
    )
    methods = {"rubric": ("m0", "d"), "expected": ("m0", "d")}
    settings: dict[str, Any] = {"scorers": ("rubric",), "methods": methods, "threshold": 4.5} | choice
    frame: DataFrame = select_curated(
        spark.createDataFrame(rows, columns),
        scores,
        spark.createDataFrame([(s, "eval") for s in overlaps], "segment_id string, known_id string"),
        Selection(**settings),
        experiment="x",
        iteration=1,
        model_id="m0",
    )
    found = frame.collect()
    assert {(r.experiment, r.iteration, r.model_id) for r in found} == {("x", 1, "m0")}
    return {r.pair_id: r.drop_reason for r in found}


def test_threshold(spark: SparkSession) -> None:
    assert curated(spark) == {"a": None, "b": None, "c": "below_threshold", "d": "below_threshold", "e": "unscored"}


def test_gate_comes_before_the_threshold(spark: SparkSession) -> None:
    found = curated(spark, gates={"expected": 2.0})
    assert found == {"a": None, "b": "gate_expected", "c": "below_threshold", "d": "below_threshold", "e": "unscored"}


def test_top_fraction_counts_what_passes_the_gates(spark: SparkSession) -> None:
    found = curated(spark, threshold=None, top_fraction=0.5, gates={"expected": 2.0})
    assert {c for c, reason in found.items() if reason is None} == {"a", "c"}


def test_a_draw_keeps_the_first_that_pass_whatever_their_scores(spark: SparkSession) -> None:
    passing = {"threshold": 1.0, "gates": {"expected": 2.0}}  # a, c and d
    one, two = (curated(spark, **passing, max_pairs=n) for n in (1, 2))
    assert one == {"a": None, "b": "gate_expected", "c": "not_drawn", "d": "not_drawn", "e": "unscored"}
    assert {c for c, reason in two.items() if reason is None} == {"a", "c"}, "the smaller draw is part of it"
    assert curated(spark, **passing, max_pairs=3) == curated(spark, **passing) == curated(spark, **passing, max_pairs=9)
    assert set(curated(spark, threshold=9.0, max_pairs=1).values()) == {"below_threshold", "unscored"}


def test_a_leak_is_a_gate(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    told = "one two three four five six seven eight nine ten eleven twelve"
    monkeypatch.setattr("tests.transforms.test_curation.TEXTS", {"a": (told, f"It is {told}."), "b": (told, told[:18])})
    kept = {"c": "below_threshold", "d": "below_threshold", "e": "unscored"}
    assert curated(spark) == {"a": None, "b": None} | kept
    assert curated(spark, max_leak=1.0) == {"a": None, "b": None} | kept, "the limit itself is kept"
    assert curated(spark, max_leak=0.9, gates={"expected": 5.0}) == {
        "a": "leaked", "b": "gate_expected", "c": "gate_expected", "d": "gate_expected", "e": "unscored",
    }  # fmt: skip
    assert curated(spark, max_leak=0.3)["b"] == "leaked"
    best = curated(spark, max_leak=0.9, threshold=None, top_fraction=0.3)
    assert (best["b"], best["c"]) == (None, "below_threshold"), "a top fraction of what passes"


def test_the_best_of_a_segment_is_kept(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.transforms.test_curation.SEGMENTS", dict.fromkeys("abcd", "s"))
    every = {"scorers": ("expected",), "threshold": 0.0}
    assert set(curated(spark, **every).values()) == {None}
    best = {"a": "not_best", "b": "not_best", "c": None, "d": "not_best", "e": None}
    assert curated(spark, per_segment=1, **every) == best
    assert curated(spark, per_segment=2, **every) == best | {"a": None}
    gated = curated(spark, per_segment=1, gates={"rubric": 4.5}, **every)
    assert (gated["a"], gated["b"], gated["c"]) == (None, "not_best", "gate_rubric"), "the best of what passes"
    monkeypatch.setitem(SCORES, "a", {"expected": 4.5})
    assert curated(spark, per_segment=1, **every) == best | {"a": None, "c": "not_best"}, "of equal ones the lowest id"
    half = curated(spark, per_segment=1, scorers=("expected",), threshold=None, top_fraction=0.5)
    assert [c for c, reason in half.items() if reason is None] == ["e"], "half of the two that remain"


def test_overlapping_pairs_are_dropped_before_the_quantile(spark: SparkSession) -> None:
    assert curated(spark, overlaps=["sa", "sa"])["a"] == "overlap"
    found = curated(spark, overlaps=["sa"], threshold=None, top_fraction=0.5)
    assert found == {"a": "overlap", "b": None, "c": None, "d": "below_threshold", "e": "unscored"}


def test_combination_is_the_mean_rank(spark: SparkSession) -> None:
    found = curated(spark, scorers=("rubric", "expected"), threshold=0.6)
    # ranks among a-d: rubric a 1, b 2/3, c 1/3, d 0; expected a 2/3, b 0, c 1, d 1/3
    assert found == {"a": None, "b": "below_threshold", "c": None, "d": "below_threshold", "e": "unscored"}


@pytest.mark.parametrize(
    "choice", [{}, {"scorers": ("expected",)}, {"gates": {"expected": 2.0}}, {"top_fraction": 0.5}]
)
def test_nan_passes_no_threshold(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, choice: dict[str, object]
) -> None:
    """Ratings of an older release may be NaN, which Spark orders above every number."""
    nan = float("nan")
    monkeypatch.setitem(SCORES, "f", {"rubric": nan, "expected": nan})
    found = curated(spark, **choice)
    assert found["f"] == "unscored"
    monkeypatch.delitem(SCORES, "f")
    assert {c: reason for c, reason in found.items() if c != "f"} == curated(spark, **choice)
