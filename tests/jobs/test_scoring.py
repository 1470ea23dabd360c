"""Ratings through the ledger: the calls that a changed prompt, sampling or parser causes, and the run's counts."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pyspark.sql import functions as F

from jobs import generate_answers, generate_candidates, ingest_prompts, judge_answers, judge_check, score_candidates
from jobs.current.answers import answers
from jobs.current.methods import methods_of
from jobs.current.pairs import candidates
from jobs.current.ratings import counting
from jobs.errors import JobError, RecipeError
from jobs.inference.serving import EngineServers
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Planned, Step
from model_ops.client.engine import Answer
from model_ops.client.fake_engine import FakeEngine
from model_ops.serving.model import Model
from schemas.bronze import COMPLETIONS
from schemas.gold import GENERATIONS, JUDGEMENTS
from schemas.ops import OUTSIDE_MODELS, PROMPTS, QUARANTINE, RUNS
from schemas.silver import CANDIDATES, OVERLAPS, SCORES, SEED_PAIRS, UNLABELLED
from tests.conftest import OpenLake, RunJob
from tests.engines import Refusing
from tests.model_ops.fake_server import Reply, serving
from tests.planted import plant, plant_model
from transforms.scoring import scorers, scores

pytestmark = pytest.mark.spark

MakeRecipe = Callable[..., Recipe]


@pytest.fixture
def recipe(tiny_base: Path) -> MakeRecipe:
    """`recipe(section={...})` returns a recipe on the tiny base model with the fake engine."""
    fixed = {"name": "test", "base_model": str(tiny_base), "inference": {"engine": "fake"}}
    return lambda **sections: Recipe.model_validate(fixed | sections)


@pytest.fixture
def judges(recipe: MakeRecipe, open_lake: OpenLake) -> dict[str, Model]:
    """The trained models M_yx and M0."""
    root = open_lake().root
    return {name: plant_model(root, recipe(), name, 0) for name in ("forward", "backward")}  # type: ignore[arg-type]


def planned(job: ModuleType, lake: Lake, asked: Recipe, iteration: int | None = None) -> Planned:
    """Return the dry run's plan of a job."""
    step = Step(job, iteration, servers=EngineServers(asked.inference, FakeEngine()))
    found: Planned = job.plan(Lake(lake.spark, lake.root), asked, step)
    return found


def drawn(segment_id: str) -> dict[str, object]:
    """Return a row of the pool."""
    return {"experiment": "test", "segment_id": segment_id, "document_id": "d", "url": "u", "position": 0, "header": "",
            "header_level": 0, "header_path": [], "text": f"An {segment_id} text.", "n_chars": 9, "language": "en",
            "language_score": 1.0, "replaced": {}, "sample_hash": segment_id}  # fmt: skip


POOL = [drawn("x"), drawn("y")]


def generated(run_job: RunJob, open_lake: OpenLake, asked: Recipe) -> None:
    """Plant a pool, and run generate-candidates on it."""
    plant(open_lake().root, UNLABELLED, POOL)
    run_job(generate_candidates, asked)


def scored(run_job: RunJob, open_lake: OpenLake, asked: Recipe) -> tuple[RunLake, list[Any]]:
    """Run score-candidates on the pool's candidates, planted if there are none; return its lake and all scores."""
    lake = open_lake()
    if not lake.exists(CANDIDATES):
        plant(lake.root, UNLABELLED, POOL)
        digest = methods_of(asked)[CANDIDATES.name]
        plant(lake.root, CANDIDATES, [
            {"candidate_id": s["segment_id"], "segment_id": s["segment_id"], "instruction": f"Say {s['segment_id']}.",
             "response": s["text"], "model_id": "backward-0-test", "request_id": "r", "method_digest": digest} for s in POOL
        ])  # fmt: skip
    lake = run_job(score_candidates, asked, iteration=1)
    return lake, lake.read(SCORES).orderBy("scorer", "pair_id").collect()


def test_a_changed_rubric_costs_its_own_rows_and_a_new_parser_none(
    open_lake: OpenLake, run_job: RunJob, recipe: MakeRecipe, judges: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["rubric", "backward_gain"]
    both = recipe(score_candidates={"scorers": names})
    lake, first = scored(run_job, open_lake, both)
    assert {(r.scorer, r.model_id, r.status) for r in first} == {
        ("rubric", "forward-0-test", "ok"), ("backward_gain", "backward-0-test", "ok"),
    }  # fmt: skip
    assert (lake.run.n_calls, lake.run.n_in, lake.run.n_out) == (2 + 2 * 2, 4, 4)
    before = counting(methods_of(both), judges, names)  # type: ignore[arg-type]

    changed = replace(scorers.RUBRIC, text="Better. " + scorers.RUBRIC.text)
    monkeypatch.setitem(scorers.SCORERS, "rubric", replace(scorers.SCORERS["rubric"], template=changed))
    lake, rows = scored(run_job, open_lake, both)
    assert (lake.run.n_calls, len(rows)) == (2, 6)
    after = counting(methods_of(both), judges, names)  # type: ignore[arg-type]
    assert {name for name in names if after[name] != before[name]} == {"rubric"}
    assert [scores.made_by(lake.read(SCORES), methods).count() for methods in (before, after)] == [4, 4]
    noted = {f"scores/{name}": digest for name, (_, digest) in after.items()}
    assert lake.run.methods == noted | {
        "forward-0": "forward-0-test", "backward-0": "backward-0-test",
        "silver.candidates": methods_of(both)["silver.candidates"],
    }  # fmt: skip

    monkeypatch.setattr(scores, "PARSER", "scores/next")
    lake, rows = scored(run_job, open_lake, both)
    assert (lake.run.n_calls, lake.run.n_out, len(rows)) == (0, 4, 10)
    newest = {(r.pair_id, r.score) for r in rows if r.scorer == "rubric" and r.parser == "scores/next"}
    assert newest == {(r.pair_id, r.score) for r in rows if r.method_digest == after["rubric"][1]}


def asking(prompts: Path, **evaluation: Any) -> dict[str, Any]:
    """Return the sections of a recipe whose one evaluation asks the prompts of a file."""
    return {"ingest_prompts": {"sets": {"own": str(prompts)}}, "evaluation": [{"set": "own", **evaluation}]}


def test_a_refused_request_gives_a_row_once_answered(
    open_lake: OpenLake, run_job: RunJob, recipe: MakeRecipe, judges: dict[str, Model], tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "Why?"}\n{"prompt": "How?"}\n')
    asked = recipe(
        score_candidates={"scorers": ["expected"]},
        **asking(prompts),
        inference={"engine": "fake", "max_failed_share": 1.0},
    )
    plant(open_lake().root, UNLABELLED, POOL)
    run_job(ingest_prompts, asked)
    jobs = ((generate_candidates, None, CANDIDATES), (score_candidates, 1, SCORES), (generate_answers, 0, GENERATIONS))
    for job, iteration, table in jobs:
        refused = run_job(job, asked, Refusing("gpu"), iteration=iteration)
        assert (refused.run.n_in, refused.run.n_out, dict(refused.run.quarantined)) == (2, 0, {"refused": 2}), table
        answered = run_job(job, asked, iteration=iteration)
        assert (answered.run.n_calls, answered.run.n_in, answered.run.n_out) == (2, 2, 2), table
        assert answered.read(table).count() == 2
        held = answered.read(QUARANTINE).where(F.col("table") == table.name).collect()
        assert [row.resolved_by for row in held] == [answered.run.run_id] * 2
        again = run_job(job, asked, iteration=iteration)
        assert (again.run.n_calls, again.run.n_in) == (0, 0), table


def test_only_answers_of_the_current_sampling_count(
    open_lake: OpenLake, run_job: RunJob, recipe: MakeRecipe, judges: dict[str, Model]
) -> None:
    warm = recipe(score_candidates={"scorers": ["expected"]})
    generated(run_job, open_lake, warm)
    lake, _ = scored(run_job, open_lake, warm)
    cold = recipe(score_candidates={"scorers": ["expected"]}, generate_candidates={"temperature": 0.0})
    assert planned(generate_candidates, lake, cold).n == 2
    run_job(generate_candidates, cold)
    assert planned(generate_candidates, lake, cold).n == 0
    assert lake.read(CANDIDATES).count() == 4
    current = candidates(open_lake(), methods_of(cold), judges["backward"].model_id)
    assert sorted(row.segment_id for row in current.collect()) == ["x", "y"]
    assert planned(score_candidates, lake, cold, 1).n == 0, "an equal instruction is already rated"
    lake = run_job(score_candidates, cold, iteration=1)
    assert (lake.run.n_out, lake.run.n_calls) == (2, 0)


def test_a_new_parser_rewrites_candidates_without_calls(
    open_lake: OpenLake, run_job: RunJob, recipe: MakeRecipe, judges: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    generated(run_job, open_lake, recipe())
    monkeypatch.setattr("transforms.prompting.candidates.PARSER", "candidates/next")
    lake = run_job(generate_candidates, recipe())
    assert (lake.run.n_calls, lake.run.n_out, lake.read(CANDIDATES).count()) == (0, 2, 4)
    assert candidates(lake, methods_of(recipe()), judges["backward"].model_id).count() == 2


def test_another_sample_asks_once_per_segment(
    open_lake: OpenLake, run_job: RunJob, recipe: MakeRecipe, judges: dict[str, Model]
) -> None:
    generated(run_job, open_lake, recipe())
    scores = {"score_candidates": {"scorers": ["expected"]}}
    lenient = {"inference": {"engine": "fake", "max_failed_share": 1.0}}
    three = recipe(generate_candidates={"samples": 3}, **scores, **lenient)
    assert (planned(generate_candidates, open_lake(), three).n, planned(score_candidates, open_lake(), three, 1).n) == (
        4,
        6,
    )
    lake = run_job(generate_candidates, three, engine=Varying("x text"))
    assert (lake.run.n_calls, lake.run.n_out, dict(lake.run.dropped)) == (4 + 1, 5, {"failed": 1})
    assert planned(generate_candidates, lake, three).n == 1
    lake = run_job(generate_candidates, three, engine=Varying())
    assert (lake.run.n_calls, lake.run.n_out) == (1, 1), "only the answer that was missing"
    assert run_job(generate_candidates, three).run.n_calls == 0
    found = candidates(lake, methods_of(three), judges["backward"].model_id).collect()
    assert sorted(row.segment_id for row in found) == ["x"] * 3 + ["y"] * 3
    one = candidates(lake, methods_of(recipe()), judges["backward"].model_id)
    assert one.count() == 2, "a recipe with one sample has the candidates that it had"


@pytest.mark.usefixtures("judges")
def test_answers_follow_sampling_and_prompt(run_job: RunJob, recipe: MakeRecipe, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    calls = []
    for text, max_tokens in (("Why?", 9), ("Why?", 9), ("Why?", 99), ("Why not?", 99)):
        prompts.write_text("".join(json.dumps({"id": i, "prompt": f"{i}: {text}"}) + "\n" for i in "ab"))
        asked = recipe(**asking(prompts, max_tokens=max_tokens))
        if text != "Why?" or not calls:
            with pytest.raises(JobError, match="no prompts of the set own as its file has them now; run `humpback ing"):
                run_job(generate_answers, asked, iteration=0)
        run_job(ingest_prompts, asked)
        lake = run_job(generate_answers, asked, iteration=0)
        calls.append(lake.run.n_calls)
        found = answers(lake, methods_of(asked), "forward-0-test", asked.evaluation[0]).collect()
        assert {(row.prompt_id, row.prompt) for row in found} == {(i, f"{i}: {text}") for i in "ab"}
        assert len(found) == 2
    assert calls == [2, 0, 2, 2]
    assert lake.read(GENERATIONS).count() == 6

    twin = recipe(name="twin", **asking(prompts, max_tokens=99))  # of the same weights
    plant_model(lake.root, twin, "forward", 0)
    prompts.write_text("".join(json.dumps({"id": i, "prompt": "a: Why not?"}) + "\n" for i in "ac"))
    run_job(ingest_prompts, twin)
    lake = run_job(generate_answers, twin, iteration=0)
    assert lake.run.n_calls == 0
    found = answers(lake, methods_of(twin), "forward-0-twin", twin.evaluation[0]).collect()
    assert {row.prompt_id for row in found} == {"a", "c"}


@pytest.mark.usefixtures("judges")
def test_the_ledger_stores_the_request(open_lake: OpenLake, run_job: RunJob, recipe: MakeRecipe) -> None:
    three = recipe(score_candidates={"scorers": ["likelihood_gain", "expected", "ending"]})
    generated(run_job, open_lake, three)
    lake, _ = scored(run_job, open_lake, three)
    asked = lake.read(COMPLETIONS).select("stage", "part", "prefill", F.length("system") > 0).distinct().collect()
    assert {tuple(row) for row in asked} == {
        ("candidates", None, "", False), ("scores/likelihood_gain", "given", "", True),
        ("scores/likelihood_gain", "alone", "", True), ("scores/expected", None, "Score: ", False),
        ("scores/ending", None, "", True),
    }  # fmt: skip
    assert {row.prefill for row in lake.read(PROMPTS).collect()} == {"", "Score: "}


@pytest.mark.usefixtures("judges")
def test_unparsed_free_answers_are_requested_again_with_a_grammar(
    open_lake: OpenLake, run_job: RunJob, recipe: MakeRecipe
) -> None:
    lake, rows = scored(run_job, open_lake, recipe(score_candidates={"scorers": ["rubric"], "constrain": "unparsed"}))
    assert [r.status for r in rows] == ["ok", "ok"], "the fake engine rates only if the grammar forces it"
    assert lake.run.n_calls == 4


SEED = [
    {"experiment": "test", "pair_id": f"p{n}", "instruction": f"What is thing {n}?", "response": f"Thing {n} is one of the things that there are.",
     "language": "en", "source": "faq", "licence": None, "split": "dev"} for n in range(12)
]  # fmt: skip


def test_known_pairs_are_rated_once_and_planned_to_the_request(
    open_lake: OpenLake, run_job: RunJob, recipe: MakeRecipe
) -> None:
    checked = recipe(score_candidates={"scorers": ["likelihood_gain", "expected"]})
    lake = open_lake()
    plant(lake.root, SEED_PAIRS, SEED)
    untrained = planned(judge_check, lake, checked, 0).n
    for direction in ("forward", "backward"):
        plant_model(lake.root, checked, direction, 0)  # type: ignore[arg-type]
    assert planned(judge_check, lake, checked, 0).n == untrained
    lake = run_job(judge_check, checked, iteration=0)
    # 5 versions of 12 pairs, by two scorers; and alone the 4 responses of each pair, two of whose versions share one.
    assert lake.run.n_calls == untrained == 2 * 60 + 12 * 4
    assert planned(judge_check, lake, checked, 0).n == 0
    figures = judge_check.figures(lake, checked, 0)
    aucs = {(m.scorer, m.of) for m in figures if m.measure == "auc"}
    kinds = {"mismatched", "cut", "hollowed", "cluttered", "all bad"}
    assert {(s, kind) for s in ("likelihood_gain", "expected") for kind in kinds} <= aucs
    assert any("+" in m.scorer and m.of.startswith("gain over") for m in figures)
    assert [m.value for m in figures if m.model_id.startswith("paper")] == [0.44, 0.09, 0.52, 0.44]


@pytest.mark.usefixtures("judges")
def test_own_labels_and_their_errors(run_job: RunJob, recipe: MakeRecipe, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"no pairs to rate, .*--pairs"):
        run_job(judge_check, recipe(), iteration=0)
    file = tmp_path / "own.jsonl"
    own = recipe(judge_check={"file": str(file), "scorers": ["expected"]}, curate={"gates": {"expected": 2.0}})
    with pytest.raises(RecipeError, match=r"judge_check.file: .*own.jsonl: .*No such file"):
        run_job(judge_check, own, iteration=0)
    lines = [{"instruction": f"i{n}", "response": f"r{n}", "label": n % 2 == 0} for n in range(6)]
    file.write_text("\n".join(map(json.dumps, [*lines, lines[0]])))
    lake = run_job(judge_check, own, iteration=0)
    assert lake.run.n_calls == 6
    figures = {(m.measure, m.of): m.n for m in judge_check.figures(lake, own, 0) if m.scorer == "expected"}
    assert figures["auc", "false"] == figures["precision", "at 2"] == 6
    file.write_text('{"instruction": "i"}')
    with pytest.raises(RecipeError, match=r"own.jsonl, line 1: no JSON object with instruction"):
        run_job(judge_check, own, iteration=0)


def test_answers_are_judged_once_by_the_model_that_is_named(
    open_lake: OpenLake, run_job: RunJob, recipe: MakeRecipe, tmp_path: Path
) -> None:
    (tmp_path / "two.jsonl").write_text("".join(json.dumps({"id": i, "prompt": "Why?"}) + "\n" for i in "ab"))
    two = tmp_path / "two.jsonl"
    usual, root = recipe(**asking(two, judged_iterations=[2])), open_lake().root
    models = {t: plant_model(root, usual, "forward", t, digest=str(t) * 64) for t in (0, 2)}
    plant(root, GENERATIONS, [
        {"model_id": m.model_id, "prompt_set": "own", "prompt_id": i, "sample": 0, "prompt": "Why?",
         "output": f"{i} by {t}", "request_id": f"{i}{t}", "method_digest": methods_of(usual)["gold.generations/own"]}
        for t, m in models.items() for i in "ab"
    ])  # fmt: skip
    lake = run_job(judge_answers, usual, iteration=2)
    found = lake.read(JUDGEMENTS).collect()
    assert {(r.judge_id, r.model_id, r.reference_id, r.status) for r in found} == {
        ("forward-2-test", "forward-2-test", "forward-0-test", "ok")
    }
    assert (lake.run.n_calls, len(found)) == (4, 2)
    again = run_job(judge_answers, usual, iteration=2)
    assert (again.run.n_calls, again.run.version) == (0, None)
    assert planned(judge_answers, again, usual, 2).n == 0
    for reference in (2, 1):  # another one, and one that is not trained yet
        other = recipe(**asking(two, iterations=[0, 1, 2], judged_iterations=[2], reference=reference))
        assert planned(judge_answers, again, other, 2).n == 4
    with pytest.raises(RecipeError, match=r"judge-answers --iteration 1: no .* has 1 among its judged_iterations; add"):
        run_job(judge_answers, usual, iteration=1)
    nobody = recipe(**asking(two, judged_iterations=[2], judge="nobody"))
    for ask in (
        partial(run_job, judge_answers, nobody, iteration=2),
        partial(planned, judge_answers, again, nobody, 2),
    ):
        with pytest.raises(
            RecipeError, match=r"evaluation.judge: nobody is neither in outside_models nor in ops.models"
        ):
            ask()


def test_a_judge_behind_a_chat_api(
    open_lake: OpenLake, run_job: RunJob, recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "two.jsonl").write_text("".join(json.dumps({"id": i, "prompt": "Why?"}) + "\n" for i in "ab"))
    monkeypatch.setenv("JUDGE_KEY", "s3cret")
    seen: list[str] = []

    def prefers_the_later_model(path: str, body: dict[str, Any] | None, number: int) -> Reply:
        assert body is not None
        assert (path, body["model"]) == ("/v1/chat/completions", "gpt-9")
        seen.append(body["messages"][0]["content"])
        label = "1" if "by 2" in seen[-1].partition("Answer 2:")[0] else "2"
        top = [{"token": label, "logprob": math.log(0.9)}, {"token": "12"[label == "1"], "logprob": math.log(0.05)}]
        choice = {
            "message": {"content": label},
            "finish_reason": "length",
            "logprobs": {"content": [{"top_logprobs": top}]},
        }
        return 200, {}, {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 1}}

    with serving(prefers_the_later_model, key="s3cret") as url:
        outside = {"gpt": {"endpoints": [url], "model": "gpt-9", "key_variable": "JUDGE_KEY"}}
        evaluation = asking(tmp_path / "two.jsonl", judged_iterations=[2], judge="gpt")
        asked, root = recipe(**evaluation, outside_models=outside, inference={"engine": "vllm"}), open_lake().root
        models = {t: plant_model(root, asked, "forward", t, digest=str(t) * 64) for t in (0, 2)}
        plant(root, GENERATIONS, [
            {"model_id": m.model_id, "prompt_set": "own", "prompt_id": i, "sample": 0, "prompt": "Why?",
             "output": f"{i} by {t}", "request_id": f"{i}{t}", "method_digest": methods_of(asked)["gold.generations/own"]}
            for t, m in models.items() for i in "ab"
        ])  # fmt: skip
        assert planned(judge_answers, open_lake(), asked, 2).n == 4
        lake = run_job(judge_answers, asked, iteration=2)
        n_asked = len(seen)
        assert planned(judge_answers, lake, asked, 2).n == 0
        assert run_job(judge_answers, asked, iteration=2).run.n_calls == 0
    assert (lake.run.n_calls, n_asked, len(seen)) == (4, 5, 5), "the probe and both orders of two prompts, once"
    found = lake.read(JUDGEMENTS).collect()
    assert [row.preference for row in found] == [pytest.approx(1 + 0.9 / 0.95)] * 2
    [judge] = lake.read(OUTSIDE_MODELS).collect()
    assert {row.judge_id for row in found} == {judge.model_id}
    assert (judge.served_name, judge.api, judge.logprobs) == ("gpt-9", "chat/completions", True)
    assert "s3cret" not in str(lake.read(COMPLETIONS).collect()) + str(lake.read(OUTSIDE_MODELS).collect())


@pytest.mark.usefixtures("judges")
def test_drawn_segments_that_overlap_newly_added_prompts_are_skipped(
    open_lake: OpenLake, run_job: RunJob, recipe: MakeRecipe
) -> None:
    lake = open_lake()
    plant(lake.root, UNLABELLED, POOL)
    plant(lake.root, SEED_PAIRS, SEED[:1])
    overlaps = [("test", "x", "p0"), ("test", "y", "a pair of former days"), ("other", "y", "p0")]
    plant(lake.root, OVERLAPS, [
        {"experiment": experiment, "segment_id": segment, "known_set": "seed", "known_id": pair, "phrase": "a phrase"}
        for experiment, segment, pair in overlaps
    ])  # fmt: skip
    assert planned(generate_candidates, lake, recipe()).n == 1
    lake = run_job(generate_candidates, recipe())
    assert [row.segment_id for row in lake.read(CANDIDATES).collect()] == ["y"]
    assert lake.run.n_calls == 1


@dataclass(frozen=True)
class Varying(FakeEngine):
    """An engine that writes another text for each sample; prompts that contain `fail_on` fail in their sample 2."""

    def _answer(self, request: Mapping[str, Any]) -> Answer:
        found = FakeEngine(self.fail_on if request["sample"] == 2 else None)._answer(request)
        return replace(found, text=f"{request['sample']}: {found.text}") if found.status == "ok" else found


@dataclass(frozen=True)
class Cutting(FakeEngine):
    """An engine whose answers to prompts that contain `cut_on` are cut off."""

    cut_on: str = "endless"

    def _answer(self, request: Mapping[str, Any]) -> Answer:
        found = super()._answer(request)
        return replace(found, status="cut") if self.cut_on in request["prompt"] else found


@pytest.mark.usefixtures("judges")
def test_an_answer_that_makes_no_candidate_is_counted_once(
    open_lake: OpenLake, run_job: RunJob, recipe: MakeRecipe
) -> None:
    plant(open_lake().root, UNLABELLED, [drawn("endless"), drawn("short")])
    lake = run_job(generate_candidates, recipe(), engine=Cutting())
    assert (lake.run.n_in, lake.run.n_out, dict(lake.run.dropped)) == (2, 1, {"cut": 1})
    second = run_job(generate_candidates, recipe())  # after a first that was killed before its row was in ops.runs
    assert (second.run.n_calls, second.run.n_in, dict(second.run.dropped)) == (0, 1, {"cut": 1})
    plant(lake.root, RUNS, [lake.run.row("ok")])
    later = run_job(generate_candidates, recipe())
    assert (later.run.n_calls, later.run.n_in, dict(later.run.dropped), later.run.version) == (0, 0, {}, None)
