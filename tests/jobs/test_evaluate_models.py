"""Held-out losses through the ledger: what is asked, what is not asked again, and what is left out."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import functions as F

from jobs import evaluate_models, judge_check
from jobs.current.counting import EVALUATIONS as COUNTING
from jobs.current.counting import values
from jobs.current.evaluations import evaluation_methods, evaluations, measured_pairs
from jobs.current.methods import methods_of
from jobs.current.models import base_model
from jobs.current.notes import evaluation_method
from jobs.errors import WaitingError
from jobs.inference.serving import EngineServers
from jobs.lake.audit import faults
from jobs.lake.tables import Lake
from jobs.lake.view import LakeView
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Planned, Step
from model_ops.client.fake_engine import FakeEngine
from model_ops.serving.model import Model
from schemas.bronze import COMPLETIONS
from schemas.gold import EVALUATIONS, JUDGEMENTS
from schemas.ops import BASE_MODELS, RUNS
from schemas.silver import KNOWN_SCORES, SEED_PAIRS
from tests.conftest import OpenLake, RunJob
from tests.planted import plant, plant_model

pytestmark = pytest.mark.spark

N_PAIRS = 6
MakeRecipe = Callable[..., Recipe]


@pytest.fixture
def recipe(tiny_base: Path) -> MakeRecipe:
    """`recipe(section={...})` returns a recipe on the tiny base model with the fake engine."""
    fixed = {"name": "test", "base_model": str(tiny_base), "inference": {"engine": "fake", "max_failed_share": 1.0},
             "score_candidates": {"scorers": ["likelihood_gain"]}}  # fmt: skip
    return lambda **sections: Recipe.model_validate(fixed | sections)


@pytest.fixture
def models(recipe: MakeRecipe, open_lake: OpenLake) -> list[Model]:
    """The trained models M0, M1, M2, beside M_yx and the seed; a pair of the training split and one to spare."""
    root = open_lake().root
    plant(root, SEED_PAIRS, [
        {"experiment": "test", "pair_id": f"p{n}", "instruction": f"What is thing {n}?",
         "response": f"Thing {n} is one of the {n} things that there are.", "language": "en", "source": "faq",
         "licence": None, "split": "train" if n == N_PAIRS else "dev"} for n in range(N_PAIRS + 1)
    ])  # fmt: skip
    plant_model(root, recipe(), "backward", 0)
    return [plant_model(root, recipe(), "forward", t) for t in range(3)]


def planned(lake: Lake, asked: Recipe, iteration: int) -> Planned:
    step = Step(evaluate_models, iteration, servers=EngineServers(asked.inference, FakeEngine()))
    return evaluate_models.plan(Lake(lake.spark, lake.root), asked, step)


def figures(lake: RunLake, metric: str) -> dict[tuple[str, str | None], Any]:
    rows = lake.read(EVALUATIONS).where(F.col("metric") == metric).collect()
    return {(row.model_id, row.reference_id): row for row in rows}


def test_what_the_judge_check_has_asked_is_not_asked_again_and_a_second_run_asks_nothing(
    run_job: RunJob, recipe: MakeRecipe, models: list[Model]
) -> None:
    base = base_model(recipe()).model_id
    assert base.startswith("base-")
    asked = run_job(judge_check, recipe(judge_check={"kinds": ["mismatched"]}), iteration=0)
    assert asked.run.n_calls == 3 * N_PAIRS
    assert planned(asked, recipe(), 0).n == N_PAIRS, "the base model alone"
    first = run_job(evaluate_models, recipe(), iteration=0)
    assert first.run.n_calls == N_PAIRS
    answered = first.read(COMPLETIONS, first.version(COMPLETIONS))
    assert answered.where(F.col("model_id") == base).select("part", "stage").distinct().collect() == [
        ("given", "scores/likelihood_gain")
    ]
    assert answered.where(F.col("model_id") == base).where("length(system) > 0").count() == N_PAIRS
    assert [(r.model_id, r.digest) for r in first.newest(BASE_MODELS).collect()] == [
        (base, base_model(recipe()).digest)
    ]
    assert {*figures(first, "loss")} == {("forward-0-test", None), (base, None)}
    assert {*figures(first, "loss_change")} == {("forward-0-test", base)}
    assert planned(first, recipe(), 0).n == 0

    again = run_job(evaluate_models, recipe(), iteration=0)
    assert (again.run.n_calls, again.run.n_in, again.run.version) == (0, 0, None)
    assert again.read(EVALUATIONS).count() == first.read(EVALUATIONS).count()


def test_a_model_is_compared_with_the_one_before_it_and_with_the_first(
    run_job: RunJob, open_lake: OpenLake, recipe: MakeRecipe, models: list[Model]
) -> None:
    for t, n_models in enumerate((2, 1, 1)):
        n_planned = planned(open_lake(), recipe(), t).n
        lake = run_job(evaluate_models, recipe(), iteration=t)
        assert n_planned == lake.run.n_calls == n_models * N_PAIRS
    base = base_model(recipe()).model_id
    changes, losses = figures(lake, "loss_change"), figures(lake, "loss")
    assert {*changes} == {
        ("forward-0-test", base), ("forward-1-test", "forward-0-test"), ("forward-2-test", "forward-1-test"),
        ("forward-2-test", "forward-0-test"),
    }  # fmt: skip
    for (model, reference), row in changes.items():
        assert row.value == pytest.approx(losses[model, None].value - losses[reference, None].value)
        assert (row.n, row.n_left_out, row.experiment, row.evaluation) == (N_PAIRS, 0, "test", "held_out_loss")
        assert row.low <= row.value <= row.high
    rows = lake.read(COMPLETIONS).where("model_id = 'forward-1-test'").collect()
    assert losses["forward-1-test", None].value == pytest.approx(
        -sum(row.span_logprob for row in rows) / sum(row.span_tokens for row in rows)
    )
    versions = changes["forward-2-test", "forward-1-test"].versions
    assert {SEED_PAIRS.name, COMPLETIONS.name} <= {*versions}
    asked_at = lake.at(COMPLETIONS, versions[COMPLETIONS.name])
    assert asked_at.where("model_id = 'forward-2-test'").count() == N_PAIRS, "the version has the answers"
    plant(lake.root, RUNS, [lake.run.row("ok")])
    assert [fault for fault in faults(lake.root) if "model_id" in fault or "reference_id" in fault] == []


def test_a_pair_whose_request_failed_is_left_out_and_counts_once_it_is_answered(
    run_job: RunJob, recipe: MakeRecipe, models: list[Model], caplog: pytest.LogCaptureFixture
) -> None:
    run_job(evaluate_models, recipe(), iteration=0)
    caplog.set_level(logging.WARNING)
    failed = run_job(evaluate_models, recipe(), engine=FakeEngine(fail_on="thing 3"), iteration=1)
    assert "forward-1-test: 1 of 6 held-out pairs left out for lack of an answer" in caplog.messages
    found = figures(failed, "loss_change")["forward-1-test", "forward-0-test"]
    assert (found.n, found.n_left_out) == (N_PAIRS - 1, 1)
    assert figures(failed, "loss")["forward-0-test", None].n == N_PAIRS, "the other model has its answer"
    rows = {(r.model_id, r.subject_id): r for r in failed.newest(COMPLETIONS).where("status = 'ok'").collect()}
    both = [f"p{n}" for n in range(N_PAIRS) if n != 3]
    expected = [
        -sum(rows[model, pair].span_logprob for pair in both) / sum(rows[model, pair].span_tokens for pair in both)
        for model in ("forward-1-test", "forward-0-test")
    ]
    assert found.value == pytest.approx(expected[0] - expected[1])

    mended = run_job(evaluate_models, recipe(), iteration=1)
    assert mended.run.n_calls == 1
    methods = evaluation_methods(recipe(), measured_pairs(mended, recipe()))
    current = evaluations(mended, "test", methods).where("metric = 'loss_change' AND model_id = 'forward-1-test'")
    assert [(row.n, row.n_left_out) for row in current.collect()] == [(N_PAIRS, 0)]
    assert mended.read(EVALUATIONS).where("metric = 'loss_change' AND model_id = 'forward-1-test'").count() == 2

    noted = {("test", evaluation_method(name)): digest for name, digest in methods.items()}
    with LakeView(mended.root) as view:
        by_duckdb = view.rows(COUNTING, values("test", noted, {}, {}))
    assert {row["figure_id"] for row in by_duckdb} == {
        r.figure_id for r in evaluations(mended, "test", methods).collect()
    }
    assert mended.run.methods[evaluation_method("held_out_loss")] == methods["held_out_loss"]


def test_plans_count_each_request_once(open_lake: OpenLake, recipe: MakeRecipe) -> None:
    lake = open_lake()
    assert [planned(lake, recipe(), t).n for t in range(3)] == [400, 200, 200], "no seed is drawn yet"
    alone = recipe(evaluate_models={"iterations": [2], "pairs": 10})
    assert planned(lake, alone, 2).n == 30


def test_without_held_out_pairs_the_loop_goes_on(
    run_job: RunJob, open_lake: OpenLake, recipe: MakeRecipe, caplog: pytest.LogCaptureFixture
) -> None:
    for direction in ("forward", "backward"):
        plant_model(open_lake().root, recipe(), direction, 0)  # type: ignore[arg-type]
    lake = run_job(evaluate_models, recipe(), iteration=0)
    assert lake.run.n_calls == 0
    assert "raise select_seed.dev_share" in caplog.text


@pytest.mark.usefixtures("models")
def test_a_base_model_that_no_endpoint_serves_stops_nothing(
    run_job: RunJob, recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served = EngineServers.engine_for

    def engine_for(servers: EngineServers, model: Model, window: int) -> Any:
        if model.model_id.startswith(refused):
            raise WaitingError(f"nobody serves {model.model_id}")
        return served(servers, model, window)

    monkeypatch.setattr(EngineServers, "engine_for", engine_for)
    refused = "base-"
    lake = run_job(evaluate_models, recipe(), iteration=0)
    assert "the base model is not measured: nobody serves base-" in caplog.text
    assert {*figures(lake, "loss")} == {("forward-0-test", None)}
    assert figures(lake, "loss_change") == {}
    refused = "forward-1"
    with pytest.raises(WaitingError, match="nobody serves forward-1-test"):
        run_job(evaluate_models, recipe(), iteration=1)


def known(pair_id: str, score: float | None) -> dict[str, object]:
    """Return a rating of a known pair by M2, null for an answer that could not be read."""
    return {"pair_id": pair_id, "model_id": "forward-2-test", "scorer": "likelihood_gain", "score": score,
            "status": "unparsed" if score is None else "ok", "label_mass": None, "parser": "p", "request_ids": []}  # fmt: skip


def test_figures_that_other_jobs_give_are_in_the_same_table(
    run_job: RunJob, open_lake: OpenLake, recipe: MakeRecipe, models: list[Model]
) -> None:
    asked, root = recipe(), open_lake().root
    scored = {"method_digest": methods_of(asked)["scores/likelihood_gain"]}
    plant(root, KNOWN_SCORES, [scored | known(f"known/seed/{kind}/{n}/x", score) for kind, score in
                               (("true", 1.5), ("cut", 0.5), ("mismatched", None)) for n in range(3)])  # fmt: skip
    plant(root, KNOWN_SCORES, [scored | known(f"known/seed/mismatched/{n}/x", n / 2) for n in (3, 4)])
    plant(root, JUDGEMENTS, [
        {"method_digest": methods_of(asked)["gold.judgements/humpback"], "judge_id": "forward-2-test", "prompt_set": "humpback",
         "prompt_id": f"q{n}", "model_id": "forward-2-test", "reference_id": reference,
         "preference": [2.0, 1.5, 2.0, None][n], "status": "unparsed" if n == 3 else "ok", "request_ids": []}
        for reference in ("forward-0-test", "forward-2-test") for n in range(4)
    ])  # fmt: skip
    lake = run_job(evaluate_models, asked, iteration=2)
    assert dict(lake.run.quarantined) == {}, "a model compared with itself has no figure"
    found = {(r.evaluation, r.metric): r for r in lake.read(EVALUATIONS).where("model_id = 'forward-2-test'").collect()}
    auc = found["known_pairs/likelihood_gain", "auc/mismatched"]
    assert (auc.value, auc.n, auc.n_left_out, auc.reference_id) == (0.25, 5, 3, None)
    assert (
        found["known_pairs/likelihood_gain", "auc/cut"].value,
        found["known_pairs/likelihood_gain", "auc/cut"].n_left_out,
    ) == (1.0, 0)
    rate = found["answers/humpback", "win_rate"]
    assert (rate.value, rate.n, rate.n_left_out) == (pytest.approx(2.5 / 3), 3, 1)
    assert (rate.reference_id, rate.judge_id) == ("forward-0-test", "forward-2-test")
    shown = evaluate_models.result(Lake(lake.spark, lake.root), asked, Step(evaluate_models, 2)).collect()
    assert {(row.evaluation, row.metric) for row in shown} == {*found}
