"""The numbers of the report, without a JVM, from a lake whose rows are known."""

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.cli import commands
from jobs.current.diversity import sets_of
from jobs.lake import translated
from jobs.lake.runs import Run
from jobs.lake.view import LakeView
from jobs.recipe.differences import Difference
from jobs.report import gather, ratings, report, trust, write
from jobs.report.facts import Stage
from schemas.ops import RUNS
from tests.conftest import Command
from tests.jobs.synthetic_lake import BACKWARD, BASE, FORWARD, THRESHOLD
from tests.planted import plant
from transforms.pages.drop_reasons import DROP_REASONS


@pytest.fixture(scope="module")
def view(finished_root: str) -> Iterator[LakeView]:
    with LakeView(finished_root) as view:
        yield view


@pytest.fixture(scope="module")
def made(view: LakeView, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, str]:
    """What the report on the lake shows, and its HTML."""
    facts = gather(view)
    out = write(facts, view.root, tmp_path_factory.mktemp("report") / "new" / "report.html")
    return facts, out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def facts(made: tuple[dict, str]) -> dict:
    return made[0]


def test_funnel_counts_every_stage(facts: dict, view: LakeView) -> None:
    n_kept = counted(view, "silver.segments WHERE drop_reason IS NULL")
    n_repeats = len(range(1, n_kept, 20))
    n_curated = {r["iteration"]: r["n_rows"] for r in facts["releases"]}
    assert facts["experiment"] == "demo"
    assert facts["funnel"] == [
        Stage("documents", "documents", 41),
        Stage("pieces", "pieces found", 240),
        Stage("kept", "pieces kept", n_kept, 240),
        Stage("unique", "unique pieces", n_kept - n_repeats, n_kept),
        Stage("unlabelled", "unlabelled set", 80, n_kept - n_repeats),
        Stage("candidates", "candidates", 60, 80),
        Stage("scored-1", "scored, iteration 1", 60, 60),
        Stage("curated-1", "curated, iteration 1", n_curated[1], 60),
        Stage("scored-2", "scored, iteration 2", 60, 60),
        Stage("curated-2", "curated, iteration 2", n_curated[2], 60),
    ]


def counted(view: LakeView, where: str) -> int:
    [row] = view.rows(f"SELECT count(*) AS n FROM {where}")
    return row["n"]


def test_each_rule_is_shown_with_its_input_count(facts: dict, view: LakeView) -> None:
    assert [rule.name for rule in facts["rules"]] == [*DROP_REASONS]
    short, upper = (rule for rule in facts["rules"] if rule.n_dropped)
    assert (short.name, short.n_in, upper.name) == ("too_short", 240, "uppercase_header")
    assert upper.n_in == 240 - short.n_dropped
    assert facts["rules"][-1].n_in == upper.n_in - upper.n_dropped
    mailed = counted(view, "silver.segments WHERE drop_reason IS NULL AND position = 1")
    assert facts["replaced"] == {"email": 2 * mailed}


def test_histograms_count_every_candidate_once_and_no_held_out_pair(facts: dict) -> None:
    counted = {(h["scorer"], h["iteration"]): (sum(h["counts"]), h["statuses"]) for h in facts["histograms"]}
    whole, rubric = (60, {"ok": 60}), (19, {"ok": 19, "unparsed": 1})
    assert counted == {
        (scorer, iteration): rubric if scorer == "rubric" else whole
        for scorer in ("expected", "likelihood_gain", "rubric")
        for iteration in (1, 2)
    }
    assert {(h["low"], h["high"]) for h in facts["histograms"] if h["scorer"] != "likelihood_gain"} == {(1.0, 5.0)}


def test_held_out_check_is_of_each_model_that_rated_the_pairs(facts: dict) -> None:
    assert [(c["scorer"], c["model_id"], c["iteration"]) for c in facts["checks"]] == [
        ("likelihood_gain", FORWARD[0], 0),
        ("likelihood_gain", FORWARD[1], 1),
    ]
    check = facts["checks"][0]
    assert {kind: len(scores) for kind, scores in check["scores"].items()} == {"true": 30, "mismatched": 30}
    auc = check["measures"][0]
    assert (auc.measure, auc.of, auc.n) == ("auc", "mismatched", 60)
    assert auc.low < auc.value < auc.high
    assert auc.value > 0.85  # two normals 2.4 deviations apart: 0.955
    assert [m.measure for m in check["measures"] if m.of == f"at {THRESHOLD:.3g}"] == ["precision", "recall", "f1"]


def test_drift_counts_the_candidates_that_changed_sides(facts: dict, view: LakeView) -> None:
    (found,) = facts["drift"]
    assert (found["scorer"], found["iteration"], found["n"], len(found["points"])) == ("likelihood_gain", 1, 60, 60)
    sides = [(old >= THRESHOLD, new >= THRESHOLD) for old, new in found["points"]]
    assert (found["falls"], found["rises"]) == (sides.count((True, False)), sides.count((False, True)))
    assert found["falls"] + found["rises"] > 0
    asked = "SELECT scorer, before, after, pairs, falls, rises FROM drift"
    assert [*translated.answer(view, asked).values] == [("likelihood_gain", 1, 2, 60, found["falls"], found["rises"])]


def test_examples_say_why_a_pair_was_rejected(facts: dict) -> None:
    examples = facts["examples"]
    assert examples["iteration"] == 2
    assert all(pair["score"] >= THRESHOLD and pair["scores"]["expected"] >= 3 for pair in examples["kept"])
    assert {pair["drop_reason"] for pair in examples["rejected"]} == {"below_threshold", "gate_expected"}
    for pair in examples["rejected"]:
        if pair["drop_reason"] == "gate_expected":
            assert pair["scores"]["expected"] < 3
            assert pair["score"] >= THRESHOLD
        else:
            assert pair["score"] < THRESHOLD


@pytest.mark.parametrize(
    ("dropped", "expected"),
    [({"below_threshold": 9, "leaked": 1}, "leaked"), ({"not_best": 1}, "not_best"), ({"overlap": 1}, "gate"),
     ({"leaked": 1, "gate_expected": 1}, "gate")],
)  # fmt: skip
def test_a_pair_above_the_threshold_failed_the_only_gate(dropped: dict[str, int], expected: str) -> None:
    subject = SimpleNamespace(runs=[{"job": "curate", "n_in": 9, "dropped": dropped}])
    assert ratings._gate(subject) == expected


def test_the_check_shows_scorers_that_ask_a_model_first() -> None:
    rows = [
        {"pair_id": f"known/seed/{kind}/{n}/x", "scorer": scorer, "model_id": "m", "score": score + n, "kind": kind}
        for scorer in ("leak_free", "random", "ending", "rubric") for kind, score in (("true", 1.0), ("leaked", 0.0))
        for n in range(3)
    ]  # fmt: skip
    view, subject = SimpleNamespace(rows=lambda *_: rows), SimpleNamespace(forward={0: "m"}, backward={}, values={})
    shown = [check["scorer"] for check in trust.known_checks(view, subject, []) if check["scores"]]
    assert shown == ["ending", "rubric", "leak_free", "random"]


def test_answers_stand_side_by_side(facts: dict) -> None:
    assert facts["answers"]["iterations"] == [0, 2]
    (rate,) = facts["win_rates"]
    assert (rate["iteration"], rate["reference"], rate["n"], rate["n_asked"]) == (2, 0, 6, 6)
    assert rate["rate"].value == pytest.approx(0.625)
    assert rate["rate"].low < 0.625 < rate["rate"].high
    assert [one["prompt_id"] for one in facts["answers"]["prompts"]] == [f"p{n}" for n in range(6)]


def test_losses_are_those_of_the_current_method_from_the_most_answers(facts: dict, made: tuple[dict, str]) -> None:
    models, changes = facts["losses"]["models"], facts["losses"]["changes"]
    assert [(m["iteration"], m["model_id"], m["loss"]["value"], m["loss"]["n"]) for m in models] == [
        (t, model, value, 30)
        for t, model, value in zip((-1, 0, 1, 2), (BASE, *FORWARD), (3.1, 2.7, 2.62, 2.63), strict=True)
    ]
    assert [(c["iteration"], c["reference"]) for c in changes] == [(0, -1), (1, 0), (2, 0), (2, 1)]
    assert "M2 predicts people&#39;s responses better than M0: its loss is 0.0700 (0.0500 to 0.0900) nats" in made[1]
    assert "M2 is not shown to predict people&#39;s responses better or worse than M1" in made[1]


def test_last_work_is_the_last_loop_that_did_anything(facts: dict) -> None:
    assert [run["job"] for run in facts["work"]][::5] == ["ingest-documents", "curate"]
    assert sum(run["n_calls"] for run in facts["work"]) == 382
    assert facts["last_run"]["seconds"] == 0.5
    [extracted] = [a for a in facts["accounts"] if a["job"] == "extract-segments"]
    assert (extracted["n_in"], extracted["n_out"]) == (240, 120)
    assert extracted["dropped"] == {"too_short": 80, "uppercase_header": 40}


def test_recipe_is_shown_with_its_differences(facts: dict) -> None:
    assert facts["recipe"]["base_model"] == "base"
    assert facts["recipe"]["settings"]["iterations"] == 3
    assert facts["recipe"]["differences"] == [Difference("iterations", "3", "2")]


def test_lengths_and_models(facts: dict) -> None:
    assert [one["set"] for one in facts["lengths"]] == [
        "seed", "candidates", "curated, iteration 1", "curated, iteration 2",
    ]  # fmt: skip
    assert {m["model_id"] for m in facts["models"]} == {BACKWARD, *FORWARD}
    assert {t["name"]: t["rows"] for t in facts["tables"]}["silver.segments"] == 240


def test_report_is_written_beside_the_lake_it_links_into(made: tuple[dict, str]) -> None:
    html = made[1]
    assert "<script" not in html
    assert "/lake/reports/gold.curated/index.html" in html
    assert html.count("<svg") == 12


def test_diversity_is_that_of_the_command(facts: dict, view: LakeView) -> None:
    assert facts["diversity"] == sets_of(view, "demo")
    assert [(one.name, one.n) for one in facts["diversity"]] == [
        ("seed", 60), ("curated, iteration 1", 17), ("curated, iteration 2", 13),
    ]  # fmt: skip


def test_the_report_command_prints_the_path(look: Command, finished_root: str, tmp_path: Path) -> None:
    words = ("report", "--lake", finished_root, "--out", tmp_path / "r.html")
    assert look(*words).out == f"report: {tmp_path}/r.html\n"
    assert json.loads(look(*words, "--json").out) == {"report": f"{tmp_path}/r.html"}
    assert "Experiment demo" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_loop_ends_with_the_report(finished_root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, done = tmp_path / "r.html", Run("curate", "demo", "r", RUNS)
    options = Namespace(limit=None, json=False, report=out, lake=finished_root)
    runner: Any = SimpleNamespace(loop=lambda limit: [done], recipe=SimpleNamespace(name="demo"))
    assert commands._loop(options, runner) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"report: {out}"
    assert "Experiment demo" in out.read_text(encoding="utf-8")


def test_report_of_an_empty_lake(tmp_path: Path) -> None:
    plant(tmp_path, RUNS, [])
    with LakeView(str(tmp_path)) as view:
        html = report(view, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No documents have been ingested yet" in html
