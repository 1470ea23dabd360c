"""Win rates of the report: failures are counted as asked and left out of n, by the arithmetic of `humpback board`."""

from pathlib import Path

import pytest

from jobs.lake.view import LakeView
from jobs.report.facts import Experiment
from jobs.report.trust import win_rates
from schemas.gold import JUDGEMENTS
from tests.planted import plant
from transforms.evaluation.alpaca_eval import interval, judged, share, wins_of

PREFERENCES = [2.0, 1.25, None, 1.5]


def test_failures_are_asked_and_left_out(tmp_path: Path) -> None:
    plant(tmp_path, JUDGEMENTS, [
        {"method_digest": "d", "judge_id": "j", "prompt_set": "s", "prompt_id": f"p{n}", "model_id": model,
         "reference_id": "m0", "preference": preference, "status": "failed" if preference is None else "ok",
         "request_ids": []}
        for model, preferences in {"m1": PREFERENCES, "m2": [None, None]}.items()
        for n, preference in enumerate(preferences)
    ])  # fmt: skip
    subject = Experiment("x", {"gold_judgements": ["d"]}, {0: "m0", 1: "m1", 2: "m2"}, {}, [], [])
    with LakeView(str(tmp_path)) as view:
        some, none = win_rates(view, subject)
    assert (some["n_asked"], some["n"], none["n_asked"], none["n"], none["rate"]) == (4, 3, 2, 0, None)
    wins = judged(wins_of(sorted(PREFERENCES, key=lambda preference: preference or 9)))
    assert some["rate"] == interval(wins)
    assert some["rate"].value == pytest.approx(share(wins).percent / 100) == pytest.approx(1.75 / 3)
