"""The arithmetic of held-out losses, and of the figures that ratings and verdicts give."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.evaluation.figures import Figure, figure, separations, win_rates
from transforms.evaluation.held_out import Answers, Response, changes, losses
from transforms.scoring import estimates

RESPONSES = st.builds(Response, st.floats(-1e4, 0), st.integers(1, 2000))
MANY = st.dictionaries(st.text("abc", min_size=1, max_size=4), RESPONSES, min_size=1, max_size=12)


@pytest.fixture(autouse=True)
def few_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "REPEATS", 50)


def by_metric(answers: Answers, before: Answers | None = None) -> dict[str, Figure]:
    found = losses(answers) if before is None else changes(answers, before)
    return {one.metric: one for one in found}


def test_every_token_counts_once_in_the_loss_and_every_pair_in_the_mean_of_pairs() -> None:
    found = by_metric({"a": Response(-10.0, 10), "b": Response(-90.0, 30)})
    assert found["loss"].value == pytest.approx(100 / 40)
    assert found["pair_loss"].value == pytest.approx((1 + 3) / 2)
    assert found["loss"].items == ("a", "b")
    assert found["loss"].low == pytest.approx(1.0), "a draw that takes the first pair twice"
    assert found["loss"].high == pytest.approx(3.0)


def test_only_pairs_that_both_answered_count_in_a_change() -> None:
    before = {"a": Response(-10.0, 10), "b": Response(-90.0, 30), "lost": Response(-5e3, 10)}
    after = {"b": Response(-60.0, 30), "new": Response(-5e3, 10)}
    found = by_metric(after, before)
    for metric in ("loss_change", "pair_loss_change"):
        assert found[metric].items == ("b",)
        assert (found[metric].value, found[metric].low, found[metric].high) == (-1.0, -1.0, -1.0)
    assert by_metric({}, before) == by_metric({}) == by_metric(before, {"other": Response(-1.0, 1)}) == {}


def test_the_difficulty_of_the_pairs_cancels_in_a_change() -> None:
    """Losses of pairs differ by several nats; a model that is better by 0.01 on each is certainly better."""
    draw = np.random.default_rng(0)
    before = {str(n): Response(-float(loss) * 50, 50) for n, loss in enumerate(draw.uniform(0.5, 6, 60))}
    after = {name: Response(logprob + 0.01 * tokens, tokens) for name, (logprob, tokens) in before.items()}
    for one in changes(after, before):
        assert one.value == pytest.approx(-0.01)
        assert one.high < 0
        assert one.high - one.low < 1e-6
    alone = by_metric(before)["loss"]
    assert alone.high - alone.low > 0.3


@given(MANY, MANY)
def test_a_change_is_the_difference_of_the_losses_and_turns_with_the_models(after: Answers, before: Answers) -> None:
    shared = after.keys() & before.keys()
    found, back = by_metric(after, before), by_metric(before, after)
    now, then = ({name: answers[name] for name in shared} for answers in (after, before))
    for metric, one in found.items():
        level = metric.removesuffix("_change")
        scale = 1e-9 * max(1.0, *(abs(r.logprob) for r in (*now.values(), *then.values())))
        assert math.isclose(one.value, by_metric(now)[level].value - by_metric(then)[level].value, abs_tol=scale)
        assert math.isclose(one.value, -back[metric].value, abs_tol=scale)
        assert math.isclose(one.low, -back[metric].high, abs_tol=scale)
        assert one.low <= one.value <= one.high


@given(MANY)
def test_a_loss_lies_between_those_of_its_pairs_and_in_its_interval(answers: Answers) -> None:
    each = [-logprob / tokens for logprob, tokens in answers.values()]
    for one in losses(answers):
        assert min(each) - 1e-9 <= one.value <= max(each) + 1e-9
        assert one.low <= one.value <= one.high
        assert one.items == tuple(sorted(answers))
    assert by_metric(dict(reversed(answers.items()))) == by_metric(answers), "the order of the answers means nothing"
    for one in changes(answers, answers):
        assert (one.value, one.low, one.high) == (0, 0, 0)


@pytest.mark.parametrize("miss", [1e-15, -1e-15])
def test_an_interval_holds_its_value(miss: float) -> None:
    only = figure("loss", lambda weight: 1.0 if weight is None else 1.0 + miss, ("a", "b"))
    assert only.low <= only.value <= only.high


KNOWN = {f"known/seed/{kind}/{n}/x": float(score) for kind, scores in
         {"true": (2, 4, 6), "cut": (1, 3, 5), "mismatched": (0, 0, 0)}.items() for n, score in enumerate(scores)}  # fmt: skip


def test_separation_is_measured_against_each_kind_and_all() -> None:
    found = {one.metric: one for one in separations(KNOWN)}
    assert {metric: one.value for metric, one in found.items()} == {
        "auc/cut": pytest.approx(6 / 9), "auc/mismatched": 1.0, "auc/all bad": pytest.approx(15 / 18),
    }  # fmt: skip
    assert [len(one.items) for one in found.values()] == [6, 6, 9]
    assert [*separations({k: v for k, v in KNOWN.items() if "/true/" not in k})] == []
    assert [*separations({k: v for k, v in KNOWN.items() if "/true/" in k})] == []


def test_a_win_rate_counts_a_draw_half() -> None:
    [one] = win_rates({"a": 2.0, "b": 1.5, "c": 1.0, "d": 2.0})
    assert (one.metric, one.value, one.items) == ("win_rate", 0.625, ("a", "b", "c", "d"))
    assert one.low < 0.625 < one.high
    assert [*win_rates({})] == []
