"""Rewriting of responses: the pairs that are paid for, the replies that are asked again, and what is trained on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobs import curate, generate_candidates, rewrite_responses, score_candidates
from jobs.errors import RecipeError
from jobs.inference.serving import EngineServers
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Step
from model_ops.client.engine import Answer
from model_ops.client.fake_engine import FakeEngine
from schemas.gold import CURATED
from schemas.silver import REWRITES, UNLABELLED
from tests.conftest import OpenLake, RunJob
from tests.planted import plant, plant_model

pytestmark = pytest.mark.spark

MakeRecipe = Callable[..., Recipe]
TEXTS = {
    name: f"The {name} house stands on a hill. It was built in 1905 by three brothers. Its roof is made of slate, and "
    f"its {name} walls are painted each spring."
    for name in ("red", "blue", "green", "white")
}


@dataclass(frozen=True)
class Rewriter(FakeEngine):
    """An engine that rewrites; it forgets the markers for texts with a word of `forgets` unless it is constrained."""

    forgets: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    invents: tuple[str, ...] = ()
    fails: str | None = None

    def _answer(self, row: Mapping[str, Any]) -> Answer:
        if row["stage"] != "rewrites":
            return super()._answer(row)
        if self.fails and self.fails in row["prompt"]:
            return Answer(row["request_id"], "failed", error="no answer", endpoint="fake")
        name = next(name for name in TEXTS if f"The {name} house" in row["prompt"])
        text = (
            f"Three brothers built the {name} house in {1850 if name in self.invents else 1905}. It stands on a hill."
        )
        text += " Its roof is made of slate."
        is_constrained = "regex" in row["sampling"]
        if name not in self.always and (is_constrained or name not in self.forgets):
            text = f"[[ANSWER]]\n{text}\n[[/ANSWER]]"
        counts = {"n_prompt_tokens": 9, "n_completion_tokens": 9, "endpoint": "fake"}
        return Answer(row["request_id"], "ok", text=text, finish_reason="stop", **counts)  # type: ignore[arg-type]


@pytest.fixture
def recipe(tiny_base: Path) -> MakeRecipe:
    fixed = {
        "name": "test", "base_model": str(tiny_base), "inference": {"engine": "fake"},
        "score_candidates": {"scorers": ["expected"]}, "rewrite_responses": {"rewriter": "forward"},
        "curate": {"scorers": ["expected"], "threshold": 0.0, "response": "rewritten"},
    }  # fmt: skip
    return lambda **sections: Recipe.model_validate(fixed | sections)


@pytest.fixture
def scored(open_lake: OpenLake, run_job: RunJob, recipe: MakeRecipe) -> RunLake:
    """Four pairs, rated by M0."""
    asked, root = recipe(), open_lake().root
    for direction in ("forward", "backward"):
        plant_model(root, asked, direction, 0)  # type: ignore[arg-type]
    plant(root, UNLABELLED, [
        {"experiment": "test", "segment_id": name, "document_id": "d", "url": "u", "position": 0, "header": "",
         "header_level": 0, "header_path": [], "text": text, "n_chars": len(text), "language": "en",
         "language_score": 1.0, "replaced": {}, "sample_hash": name} for name, text in TEXTS.items()
    ])  # fmt: skip
    run_job(generate_candidates, asked)
    return run_job(score_candidates, asked, iteration=1)


def rows(lake: RunLake) -> dict[str, Any]:
    return {row.segment_id: row for row in lake.read(REWRITES).collect()}


@pytest.mark.usefixtures("scored")
def test_a_reply_without_markers_is_asked_again_under_a_constraint(run_job: RunJob, recipe: MakeRecipe) -> None:
    engine = Rewriter(forgets=("red", "blue"), always=("blue",), invents=("green",))
    lake = run_job(rewrite_responses, recipe(), engine, iteration=1)
    found = rows(lake)
    assert {name: row.drop_reason for name, row in found.items()} == {
        "red": None, "blue": "unparsed", "green": "ungrounded", "white": None,
    }  # fmt: skip
    assert lake.run.n_calls == 4 + 2
    assert (lake.run.n_in, lake.run.n_out, dict(lake.run.dropped)) == (4, 2, {"unparsed": 1, "ungrounded": 1})
    assert found["red"].response.startswith("Three brothers built the red house")
    assert [support.missing for support in found["green"].supports if not support.is_supported] == [["1850"]]

    again = run_job(rewrite_responses, recipe(), engine, iteration=1)
    assert (again.run.n_calls, again.run.version) == (0, None)
    changed = recipe(rewrite_responses={"rewriter": "forward", "max_unsupported": 1.0})
    tolerant = run_job(rewrite_responses, changed, engine, iteration=1)
    assert tolerant.run.n_calls == 0, "another rule reads the same replies"
    assert (tolerant.run.n_out, dict(tolerant.run.dropped)) == (3, {"unparsed": 1})


@pytest.mark.usefixtures("scored")
def test_only_pairs_that_pass_the_first_selection_are_paid_for(run_job: RunJob, recipe: MakeRecipe) -> None:
    best = recipe(rewrite_responses={"rewriter": "forward", "top_fraction": 0.5})
    lake = run_job(rewrite_responses, best, Rewriter(), iteration=1)
    assert (lake.run.n_calls, len(rows(lake))) == (2, 2)


@pytest.mark.usefixtures("scored")
def test_a_reply_that_is_missing_is_asked_for_by_the_next_run(run_job: RunJob, recipe: MakeRecipe) -> None:
    patient = recipe(inference={"engine": "fake", "max_failed_share": 1.0})
    first = run_job(rewrite_responses, patient, Rewriter(fails="The red house"), iteration=1)
    assert (set(rows(first)), first.run.n_out) == ({"blue", "green", "white"}, 3)
    step = Step(rewrite_responses, 1, servers=EngineServers(patient.inference, FakeEngine()))
    assert rewrite_responses.plan(Lake(first.spark, first.root), patient, step).n == 1
    second = run_job(rewrite_responses, patient, Rewriter(), iteration=1)
    assert (second.run.n_calls, set(rows(second))) == (1, set(TEXTS))


@pytest.mark.usefixtures("scored")
def test_a_draw_is_of_the_pairs_that_were_rewritten(run_job: RunJob, recipe: MakeRecipe) -> None:
    asked = recipe(curate={"scorers": ["expected"], "threshold": 0.0, "response": "rewritten", "max_pairs": 2})
    run_job(rewrite_responses, asked, Rewriter(always=("blue",)), iteration=1)
    lake = run_job(curate, asked, iteration=1)
    assert (lake.read(CURATED).count(), dict(lake.run.dropped)) == (2, {"not_rewritten": 1, "not_drawn": 1})


@pytest.mark.parametrize(
    ("choice", "origins", "dropped"),
    [
        ("original", {"backtranslated": 4}, {}),
        ("rewritten", {"rewritten": 3}, {"not_rewritten": 1}),
        ("both", {"backtranslated": 4, "rewritten": 3}, {}),
    ],
)
@pytest.mark.usefixtures("scored")
def test_curation_chooses_what_is_trained_on(
    run_job: RunJob, recipe: MakeRecipe, choice: str, origins: dict[str, int], dropped: dict[str, int]
) -> None:
    asked = recipe(curate={"scorers": ["expected"], "threshold": 0.0, "response": choice})
    made = rows(run_job(rewrite_responses, asked, Rewriter(always=("blue",)), iteration=1))
    lake = run_job(curate, asked, iteration=1)
    found = lake.read(CURATED).collect()
    counts = {origin: sum(row.origin == origin for row in found) for origin in origins}
    assert (counts, len(found), dict(lake.run.dropped)) == (origins, sum(origins.values()), dropped)
    for row in found:
        if row.origin == "rewritten":
            rewrite = made[row.segment_id]
            assert (row.pair_id, row.response, row.instruction) == (
                rewrite.rewrite_id, rewrite.response, rewrite.instruction,
            )  # fmt: skip


def test_a_recipe_without_a_rewriter_says_so(scored: RunLake, run_job: RunJob, recipe: MakeRecipe) -> None:
    plain = recipe(rewrite_responses={}, curate={"scorers": ["expected"], "threshold": 0.0})
    with pytest.raises(RecipeError, match=r"rewrite_responses.rewriter is unset; name the model"):
        run_job(rewrite_responses, plain, iteration=1)
    unknown = recipe(rewrite_responses={"rewriter": "nobody"})
    with pytest.raises(
        RecipeError, match=r"rewrite_responses.rewriter: nobody is neither in outside_models nor in ops"
    ):
        run_job(rewrite_responses, unknown, iteration=1)
    step = Step(rewrite_responses, 1, servers=EngineServers(plain.inference, FakeEngine()))
    assert rewrite_responses.plan(Lake(scored.spark, scored.root), recipe(), step).n == 4
