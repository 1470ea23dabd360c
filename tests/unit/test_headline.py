"""The report's first sentences, from plain numbers."""

import pytest

from jobs.report.facts import Stage
from jobs.report.headline import Evidence, evidence, happened
from transforms.scoring.estimates import Estimate
from transforms.scoring.judge_check import Measure

FUNNEL = [Stage("documents", "documents", 1200), Stage("kept", "pieces kept", 50), Stage("candidates", "candidates", 9)]


@pytest.mark.parametrize(
    ("funnel", "sentence"),
    [
        ([], "No documents have been ingested yet."),
        ([Stage("documents", "documents", 0)], "No documents have been ingested yet."),
        (FUNNEL, "1,200 documents gave 50 clean pieces and 9 pairs; none has been curated yet."),
        (
            [*FUNNEL, Stage("curated-1", "curated, iteration 1", 4)],
            "1,200 documents gave 50 clean pieces and 9 pairs; curation kept 4 in iteration 1.",
        ),
    ],
)
def test_first_sentence_counts(funnel: list[Stage], sentence: str) -> None:
    assert happened(funnel) == sentence


@pytest.mark.parametrize(
    ("low", "high", "shows", "verb"),
    [
        (0.51, 0.9, "better", "is better than"),
        (0.1, 0.49, "worse", "is worse than"),
        (0.5, 0.9, "nothing", "is not shown to differ from"),
    ],
)
def test_models_differ_only_if_the_interval_excludes_chance(low: float, high: float, shows: str, verb: str) -> None:
    win = {"iteration": 2, "reference": 0, "n": 1200, "rate": Estimate(0.5, low, high)}
    rates = f"50.0 % ({100 * low:.1f} to {100 * high:.1f})"
    sentence = f"M2 {verb} M0: it wins {rates} of 1,200 comparisons."
    assert evidence([], [], [win, win | {"rate": None}]) == [Evidence(sentence, shows)]


def test_only_the_first_scorer_is_named() -> None:
    auc = Measure("likelihood_gain", "m", "auc", "mismatched", 0.934, 0.905, 0.963, 200)
    check = {"scorer": "likelihood_gain", "iteration": 0, "measures": [auc]}
    [one] = evidence([check, check], [], [])
    assert one == Evidence(
        "The likelihood gain under M0 ranks a true held-out pair above a spoilt one (mismatched) in "
        "93.4 % (90.5 to 96.3) of the cases; guessing gives 50 %.",
        "better",
    )


def change(iteration: int, reference: int, value: float, low: float, high: float) -> dict[str, object]:
    found = {"value": value, "low": low, "high": high, "n": 1099}
    return {"iteration": iteration, "reference": reference, "loss_change": found}


@pytest.mark.parametrize(
    ("value", "low", "high", "shows", "sentence"),
    [
        (-0.02, -0.03, -0.01, "better", "M1 predicts people's responses better than M0: its loss is 0.0200 (0.0100 to "
         "0.0300) nats per token lower, on 1,099 held-out pairs."),
        (0.02, 0.01, 0.03, "worse", "M1 predicts people's responses worse than M0: its loss is 0.0200 (0.0100 to "
         "0.0300) nats per token higher, on 1,099 held-out pairs."),
        (-0.02, -0.04, 0.0, "nothing", "M1 is not shown to predict people's responses better or worse than M0: its "
         "loss changes by -0.0200 (-0.0400 to +0.0000) nats per token, on 1,099 held-out pairs."),
        (0.0, 0.0, 0.0, "nothing", "M1 has the same loss as M0 on each of 1,099 held-out pairs."),
    ],
)  # fmt: skip
def test_a_loss_falls_only_if_the_whole_interval_lies_below_0(
    value: float, low: float, high: float, shows: str, sentence: str
) -> None:
    assert evidence([], [change(1, 0, value, low, high)], []) == [Evidence(sentence, shows)]  # type: ignore[arg-type]


def test_the_last_model_is_compared_with_the_first_and_each_with_the_one_before() -> None:
    pairs = [(0, -1), (1, 0), (2, 0), (2, 1), (3, 0), (3, 2)]
    found = evidence([], [change(*models, -0.1, -0.2, 0.1) for models in pairs], [])
    named = [
        one.sentence.partition(":")[0].split()[:: len(one.sentence.partition(":")[0].split()) - 1] for one in found
    ]
    assert named == [["M3", "M0"], ["M1", "M0"], ["M2", "M1"], ["M3", "M2"]]
