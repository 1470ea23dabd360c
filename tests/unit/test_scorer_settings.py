"""Settings of scorers in the recipe, and the scores that a change of them makes stale."""

from typing import Any

import pytest

from jobs.recipe.config import Recipe
from jobs.recipe.digests import candidates_digest, scores_digest
from transforms.scoring.scorers import SCORERS

WRITTEN, MODEL_FREE = {"rubric", "additive"}, {"leak_free", "random"}
MINIMAL = {"name": "x", "base_model": "m"}


def recipe(**sections: Any) -> Recipe:
    return Recipe.model_validate(MINIMAL | sections)


@pytest.mark.parametrize(
    ("sections", "stale"),
    [
        ({}, set()),
        ({"score_candidates": {"scorers": ["expected"]}}, set()),
        ({"score_candidates": {"temperature": 0.5}}, WRITTEN),
        ({"score_candidates": {"temperature": 0.0, "rationale_chars": 90}}, WRITTEN),
        ({"score_candidates": {"constrain": "unparsed"}}, WRITTEN),
        ({"build_training_examples": {"seed_tag": "Another."}}, {"likelihood_gain", "ending"}),
        ({"score_candidates": {"random_seed": "2"}}, {"random"}),
    ],
)
def test_a_setting_changes_the_digests_of_dependent_scores(sections: dict[str, Any], stale: set[str]) -> None:
    changed = recipe(**sections)
    assert {name for name in SCORERS if scores_digest(changed, name) != scores_digest(recipe(), name)} == stale


def test_samples_count_for_written_ratings_alone() -> None:
    one, three = (recipe(score_candidates={"temperature": 1.0, "samples": n}) for n in (1, 3))
    assert {name for name in SCORERS if scores_digest(one, name) != scores_digest(three, name)} == WRITTEN
    per_pair = {name: scorer.requests_per_pair(three.score_candidates) for name, scorer in SCORERS.items()}
    others = {"likelihood_gain": 2, "backward_gain": 2} | dict.fromkeys(MODEL_FREE, 0)
    assert per_pair == dict.fromkeys(SCORERS, 1) | dict.fromkeys(WRITTEN, 3) | others


def test_every_scorer_has_digests_of_its_own() -> None:
    assert len({scores_digest(recipe(), name) for name in SCORERS}) == len(SCORERS)


def test_digests_equal_those_in_existing_lakes() -> None:
    assert {name: scores_digest(recipe(), name) for name in SCORERS if name not in MODEL_FREE} == {
        "rubric": "8214e60ed7a26422", "additive": "47ce2f84f3b1c410", "expected": "27ed8deb1a56a777",
        "likelihood_gain": "d503698249b3e15c", "ending": "ff88e19e2cb88dc0", "backward_gain": "7f746aa94d08247b",
    }  # fmt: skip
    assert candidates_digest(recipe()) == "969f34e7eae84aa7"


@pytest.mark.parametrize(
    "section",
    [{"score_candidates": {"scorers": ["rubrik"]}}, {"curate": {"gates": {"rubrik": 3}}},
     {"score_candidates": {"limits": {"rubrik": 3}}}],
)  # fmt: skip
def test_an_unknown_scorer_error_lists_the_scorers(section: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown scorer 'rubrik'; the scorers are rubric, additive, expected"):
        recipe(**section)
