"""Ratings through the ledger: what a changed prompt, sampling or parser costs, and what is counted when."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import functions as F

from jobs import generate_answers, generate_candidates, judge_answers, judge_check, score_candidates
from jobs.current.models import Model
from jobs.errors import JobError, RecipeError
from jobs.inference import ask as inference
from jobs.inference import rating as scoring
from jobs.lake.tables import Lake
from jobs.loop import plan as dry_run
from jobs.recipe.config import Recipe
from model_ops.client.engine import Answer
from model_ops.client.fake_engine import FakeEngine
from schemas.bronze import COMPLETIONS
from schemas.gold import GENERATIONS, JUDGEMENTS
from schemas.ops import MODELS, PROMPTS, RUNS
from schemas.silver import CANDIDATES, SCORES, SEED_PAIRS, UNLABELLED
from tests.conftest import OpenLake
from tests.planted import plant
from transforms.scoring import scorers, scores

pytestmark = pytest.mark.spark

JUDGES = {
    "forward": Model("forward-0-abc", "nowhere", "f" * 64, "base"),
    "backward": Model("backward-0-abc", "nowhere", "b" * 64, "base"),
}


def recipe(**sections: object) -> Recipe:
    return Recipe.model_validate({"name": "test", "base_model": "b", "inference": {"engine": "fake"}} | sections)


@pytest.fixture(autouse=True)
def trained(monkeypatch: pytest.MonkeyPatch) -> None:
    for job in (score_candidates, judge_check):
        monkeypatch.setattr(job, "judges", lambda *_: JUDGES)
    monkeypatch.setattr(generate_candidates, "the_model", lambda *_: JUDGES["backward"])


def drawn(segment_id: str) -> dict[str, object]:
    """A row of the pool."""
    return {"experiment": "test", "segment_id": segment_id, "document_id": "d", "url": "u", "position": 0, "header": "",
            "header_level": 0, "header_path": [], "text": f"An {segment_id} text.", "n_chars": 9, "language": "en",
            "language_score": 1.0, "replaced": {}, "sample_hash": segment_id}  # fmt: skip


POOL = [drawn("x"), drawn("y")]


def generated(open_lake: OpenLake, asked: Recipe) -> None:
    """The candidates of the pool, by their job."""
    lake = open_lake(generate_candidates)
    plant(lake.root, UNLABELLED, POOL)
    generate_candidates.run(lake, asked)


def scored(open_lake: OpenLake, asked: Recipe) -> tuple[Lake, list[Any]]:
    """A run of score-candidates over the pool's candidates, planted if there are none; and all scores after it."""
    lake = open_lake(score_candidates, iteration=1)
    if not lake.exists(CANDIDATES):
        plant(lake.root, UNLABELLED, POOL)
        segments = lake.latest(UNLABELLED)
        requests = generate_candidates.candidate_requests(asked, JUDGES["backward"], segments).collect()
        plant(lake.root, CANDIDATES, [
            {"candidate_id": r.subject_id, "segment_id": r.subject_id, "instruction": f"Say {r.subject_id}.",
             "response": f"An {r.subject_id} text.", "model_id": r.model_id, "request_id": r.request_id} for r in requests
        ])  # fmt: skip
    score_candidates.run(lake, asked)
    return lake, lake.latest(SCORES).orderBy("scorer", "pair_id").collect()


def test_a_changed_rubric_costs_its_own_rows_and_a_new_parser_none(
    open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["rubric", "backward_gain"]
    both = recipe(score_candidates={"scorers": names})
    lake, first = scored(open_lake, both)
    assert {(r.scorer, r.model_id, r.status) for r in first} == {
        ("rubric", "forward-0-abc", "ok"), ("backward_gain", "backward-0-abc", "ok"),
    }  # fmt: skip
    assert (lake.run.n_calls, lake.run.n_in, lake.run.n_out) == (2 + 2 * 2, 4, 4)
    before = scoring.methods(both, JUDGES, names)  # type: ignore[arg-type]

    changed = replace(scorers.RUBRIC, text="Better. " + scorers.RUBRIC.text)
    monkeypatch.setitem(scorers.SCORERS, "rubric", replace(scorers.SCORERS["rubric"], template=changed))
    lake, rows = scored(open_lake, both)
    assert (lake.run.n_calls, len(rows)) == (2, 6)
    after = scoring.methods(both, JUDGES, names)  # type: ignore[arg-type]
    assert {name for name in names if after[name] != before[name]} == {"rubric"}
    assert [scores.made_by(lake.latest(SCORES), methods).count() for methods in (before, after)] == [4, 4]

    monkeypatch.setattr(scores, "PARSER", "scores/next")
    lake, rows = scored(open_lake, both)
    assert (lake.run.n_calls, lake.run.n_out, len(rows)) == (0, 4, 10)
    newest = {(r.pair_id, r.score) for r in rows if r.scorer == "rubric" and r.parser == "scores/next"}
    assert newest == {(r.pair_id, r.score) for r in rows if r.method_digest == after["rubric"][1]}


def test_after_a_changed_sampling_only_what_it_gave_counts(open_lake: OpenLake) -> None:
    warm = recipe(score_candidates={"scorers": ["expected"]})
    generated(open_lake, warm)
    lake, _ = scored(open_lake, warm)
    cold = recipe(score_candidates={"scorers": ["expected"]}, generate_candidates={"temperature": 0.0})
    backward = JUDGES["backward"]
    there = {("forward", 0): JUDGES["forward"], ("backward", 0): backward}
    assert dry_run._n_candidates(lake, cold, backward, 9) == 2
    generate_candidates.run(open_lake(generate_candidates), cold)
    lake = open_lake(score_candidates, iteration=1)
    assert dry_run._n_candidates(lake, cold, backward, 9) == 0
    assert lake.latest(CANDIDATES).count() == 4
    current = generate_candidates.current_candidates(lake, cold, backward)
    assert {row.segment_id for row in current.collect()} == {"x", "y"}
    assert current.count() == 2
    assert dry_run._n_ratings(lake, cold, there, 0, 9) == 0, "the same instruction again, which is rated already"  # type: ignore[arg-type]
    score_candidates.run(lake, cold)
    assert (lake.run.n_out, lake.run.n_calls) == (2, 0)


def test_answers_follow_sampling_and_prompt(
    open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(generate_answers, "the_model", lambda *_: JUDGES["forward"])
    prompts = tmp_path / "prompts.jsonl"
    calls = []
    for text, max_tokens in (("Why?", 9), ("Why?", 9), ("Why?", 99), ("Why not?", 99)):
        prompts.write_text("".join(json.dumps({"id": i, "prompt": f"{i}: {text}"}) + "\n" for i in "ab"))
        asked = recipe(generate_answers={"prompts": str(prompts), "max_tokens": max_tokens})
        lake = open_lake(generate_answers, iteration=0)
        generate_answers.run(lake, asked)
        calls.append(lake.run.n_calls)
        found = generate_answers.current_answers(lake, asked, JUDGES["forward"]).collect()
        assert {(row.prompt_id, row.prompt) for row in found} == {(i, f"{i}: {text}") for i in "ab"}
        assert len(found) == 2
    assert calls == [2, 0, 2, 2]
    assert lake.latest(GENERATIONS).count() == 6

    twin = replace(JUDGES["forward"], model_id="forward-0-twin")  # another experiment's, of the same weights
    plant(lake.root, MODELS, [
        {"model_id": m.model_id, "experiment": m.model_id, "direction": "forward", "iteration": 0, "base_model": "base",
         "path": m.path, "digest": m.digest, "dataset": "d", "table_version": 1, "n_examples": 1, "content_digest": "c",
         "config_digest": "c", "metrics": {}, "run_id": "r"} for m in (JUDGES["forward"], twin)
    ])  # fmt: skip
    monkeypatch.setattr(generate_answers, "the_model", lambda *_: twin)
    prompts.write_text("".join(json.dumps({"id": i, "prompt": "a: Why not?"}) + "\n" for i in "ac"))
    lake = open_lake(generate_answers, iteration=0)
    generate_answers.run(lake, asked)
    assert lake.run.n_calls == 0
    assert {row.prompt_id for row in generate_answers.current_answers(lake, asked, twin).collect()} == {"a", "c"}


def test_the_ledger_says_how_it_was_asked(open_lake: OpenLake) -> None:
    three = recipe(score_candidates={"scorers": ["likelihood_gain", "expected", "ending"]})
    generated(open_lake, three)
    lake, _ = scored(open_lake, three)
    asked = lake.latest(COMPLETIONS).select("stage", "part", "prefill", F.length("system") > 0).distinct().collect()
    assert {tuple(row) for row in asked} == {
        ("candidates", None, "", False), ("scores/likelihood_gain", "given", "", True),
        ("scores/likelihood_gain", "alone", "", True), ("scores/expected", None, "Score: ", False),
        ("scores/ending", None, "", True),
    }  # fmt: skip
    assert {row.prefill for row in lake.latest(PROMPTS).collect()} == {"", "Score: "}


def test_what_a_free_answer_leaves_unread_is_asked_again_under_a_grammar(open_lake: OpenLake) -> None:
    lake, rows = scored(open_lake, recipe(score_candidates={"scorers": ["rubric"], "constrain": "unparsed"}))
    assert [r.status for r in rows] == ["ok", "ok"], "the fake engine rates only where the grammar makes it"
    assert lake.run.n_calls == 4


SEED = [
    {"experiment": "test", "pair_id": f"p{n}", "instruction": f"What is thing {n}?", "response": f"Thing {n} is one of the things that there are.",
     "language": "en", "source": "faq", "licence": None, "split": "dev"} for n in range(12)
]  # fmt: skip


def test_known_pairs_are_rated_once_and_planned_to_the_request(open_lake: OpenLake) -> None:
    checked = recipe(score_candidates={"scorers": ["likelihood_gain", "expected"]})
    lake = open_lake(judge_check, iteration=0)
    plant(lake.root, SEED_PAIRS, SEED)
    untrained = dict.fromkeys([("forward", 0), ("backward", 0)])
    trained = {("forward", 0): JUDGES["forward"], ("backward", 0): JUDGES["backward"]}
    planned = dry_run._n_checks(lake, checked, untrained, 0)  # type: ignore[arg-type]
    assert planned == dry_run._n_checks(lake, checked, trained, 0)  # type: ignore[arg-type]
    judge_check.run(lake, checked)
    # 5 versions of 12 pairs, by two scorers; and alone the 4 responses of each pair, two of whose versions share one.
    assert lake.run.n_calls == planned == 2 * 60 + 12 * 4
    assert dry_run._n_checks(lake, checked, trained, 0) == 0  # type: ignore[arg-type]
    figures = judge_check.figures(lake, checked, 0)
    aucs = {(m.scorer, m.of) for m in figures if m.measure == "auc"}
    kinds = {"mismatched", "cut", "hollowed", "cluttered", "all bad"}
    assert {(s, kind) for s in ("likelihood_gain", "expected") for kind in kinds} <= aucs
    assert any("+" in m.scorer and m.of.startswith("gain over") for m in figures)
    assert [m.value for m in figures if m.model_id.startswith("paper")] == [0.44, 0.09, 0.52, 0.44]


def test_own_labels_and_what_is_wrong_with_them(open_lake: OpenLake, tmp_path: Path) -> None:
    lake = open_lake(judge_check, iteration=0)
    with pytest.raises(JobError, match=r"no pairs; hold some out|no pairs; .*--pairs"):
        judge_check.run(lake, recipe())
    file = tmp_path / "own.jsonl"
    own = recipe(judge_check={"file": str(file), "scorers": ["expected"]}, curate={"gates": {"expected": 2.0}})
    with pytest.raises(RecipeError, match=r"judge_check.file: .*own.jsonl: .*No such file"):
        judge_check.run(lake, own)
    lines = [{"instruction": f"i{n}", "response": f"r{n}", "label": n % 2 == 0} for n in range(6)]
    file.write_text("\n".join(map(json.dumps, [*lines, lines[0]])))
    judge_check.run(lake, own)
    assert lake.run.n_calls == 6
    figures = {(m.measure, m.of): m.n for m in judge_check.figures(lake, own, 0) if m.scorer == "expected"}
    assert figures["auc", "false"] == figures["precision", "at 2"] == 6
    file.write_text('{"instruction": "i"}')
    with pytest.raises(RecipeError, match=r"own.jsonl, line 1: no JSON object with instruction"):
        judge_check.run(lake, own)


def test_answers_are_judged_once_by_the_model_that_is_named(
    open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "two.jsonl").write_text("".join(json.dumps({"id": i, "prompt": "Why?"}) + "\n" for i in "ab"))

    def recipe(**sections: object) -> Recipe:
        two = {"generate_answers": {"prompts": str(tmp_path / "two.jsonl")}}
        return Recipe.model_validate(
            {"name": "test", "base_model": "b", "inference": {"engine": "fake"}} | two | sections
        )

    models = {t: Model(f"forward-{t}-abc", "nowhere", str(t) * 64, "base") for t in (0, 2)}
    monkeypatch.setattr(judge_answers, "the_model", lambda *words: models[words[3]])
    lake = open_lake(judge_answers, iteration=2)
    prompts = generate_answers.wanted_prompts(lake, recipe())
    plant(lake.root, GENERATIONS, [
        {"model_id": m.model_id, "prompt_set": "humpback", "prompt_id": r.subject_id, "sample": 0, "prompt": "Why?",
         "output": f"{r.subject_id} by {t}", "request_id": r.request_id}
        for t, m in models.items() for r in generate_answers.answer_requests(recipe(), m, prompts).collect()
    ])  # fmt: skip
    judge_answers.run(lake, recipe())
    found = lake.latest(JUDGEMENTS).collect()
    assert {(r.judge_id, r.model_id, r.reference_id, r.status) for r in found} == {
        ("forward-2-abc", "forward-2-abc", "forward-0-abc", "ok")
    }
    assert (lake.run.n_calls, len(found)) == (4, 2)
    again = open_lake(judge_answers, iteration=2)
    judge_answers.run(again, recipe())
    assert (again.run.n_calls, again.run.version) == (0, None)
    there = {("forward", t): m for t, m in models.items()}
    assert dry_run._n_judged(again, recipe(), there, 2) == 2  # type: ignore[arg-type]
    for reference in (2, 9):  # another one, and one that the loop will not train
        other = recipe(judge_answers={"reference": reference})
        assert dry_run._n_judged(again, other, there, 2) == 0  # type: ignore[arg-type]
    nobody = recipe(judge_answers={"judge": "nobody"})
    for ask in (judge_answers.run, lambda *to: dry_run._n_judged(*to, there, 2)):
        with pytest.raises(RecipeError, match=r"judge_answers.judge: nobody is not in ops.models"):
            ask(again, nobody)


@dataclass(frozen=True)
class Cutting(FakeEngine):
    """Runs out of tokens on what holds `cut_on`."""

    cut_on: str = "endless"

    def _answer(self, request: Mapping[str, Any]) -> Answer:
        found = super()._answer(request)
        return replace(found, status="cut") if self.cut_on in request["prompt"] else found


def test_an_answer_that_makes_no_candidate_is_counted_once(
    open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "engine_for", lambda *_: Cutting())
    lake = open_lake(generate_candidates)
    plant(lake.root, UNLABELLED, [drawn("endless"), drawn("short")])
    generate_candidates.run(lake, recipe())
    assert (lake.run.n_in, lake.run.n_out, dict(lake.run.dropped)) == (2, 1, {"cut": 1})
    second = open_lake(generate_candidates)  # after a first that was killed before its row was in ops.runs
    generate_candidates.run(second, recipe())
    assert (second.run.n_calls, second.run.n_in, dict(second.run.dropped)) == (0, 1, {"cut": 1})
    plant(lake.root, RUNS, [lake.run.row("ok")])
    later = open_lake(generate_candidates)
    generate_candidates.run(later, recipe())
    assert (later.run.n_calls, later.run.n_in, dict(later.run.dropped), later.run.version) == (0, 0, {}, None)
