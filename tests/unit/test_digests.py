"""Rows that a changed setting, text or method makes stale, and rows that it does not."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from jobs.recipe import digests
from jobs.recipe.config import Finetune, Recipe
from jobs.recipe.section import Section, digest
from model_ops.training.settings import ADDED, SPEED_ONLY, TrainingSettings
from transforms.scoring.answer_kinds import Likelihood
from transforms.scoring.scorers import SCORERS

DIGESTS: Mapping[str, Callable[[Recipe], str]] = {
    "segments": digests.segments_digest,
    "signatures": digests.signatures_digest,
    "duplicates": digests.duplicates_digest,
    "candidates": digests.candidates_digest,
    "answers": lambda recipe: digests.answers_digest(recipe, recipe.evaluation[0]),
    "verdicts": lambda recipe: digests.verdicts_digest(recipe, recipe.evaluation[0]),
}
FROM_SEGMENTS, FROM_ANSWERS = {"segments", "signatures", "duplicates"}, {"answers", "verdicts"}


def recipe(**sections: Any) -> Recipe:
    return Recipe.model_validate({"name": "x", "base_model": "m"} | sections)


BEFORE = {name: of(recipe()) for name, of in DIGESTS.items()}


def stale(changed: Recipe) -> set[str]:
    return {name for name, of in DIGESTS.items() if of(changed) != BEFORE[name]}


@pytest.mark.parametrize(
    ("section", "settings", "expected"),
    [
        ("extract_segments", {"min_chars": 500}, FROM_SEGMENTS),
        ("extract_segments", {"quality": {"min_words": 3}}, FROM_SEGMENTS),
        ("extract_segments", {"scrub": ["email"]}, FROM_SEGMENTS),
        ("sign_segments", {"seed": 1}, {"signatures", "duplicates"}),
        ("find_duplicates", {"min_jaccard": 0.9}, {"duplicates"}),
        ("generate_candidates", {"temperature": 0.1}, {"candidates"}),
        ("generate_candidates", {"top_p": 0.1}, {"candidates"}),
        ("generate_candidates", {"max_tokens": 1}, {"candidates"}),
        ("generate_candidates", {"n_segments": 1, "max_chars": 1, "samples": 1}, set()),
        ("generate_candidates", {"samples": 2}, {"candidates"}),
        ("evaluation", [{"temperature": 0.1}], FROM_ANSWERS),
        ("evaluation", [{"top_p": 0.1}], FROM_ANSWERS),
        ("evaluation", [{"max_tokens": 1}], FROM_ANSWERS),
        ("evaluation", [{"name": "other", "iterations": [1]}], set()),
        ("build_training_examples", {"seed_tag": "Another."}, FROM_ANSWERS),
        ("evaluation", [{"judge": "j", "iterations": [0, 1, 2], "reference": 1, "judged_iterations": [2]}], set()),
        ("curate", {"max_pairs": 100}, set()),
    ],
)
def test_a_setting_changes_exactly_the_dependent_digests(section: str, settings: Any, expected: set[str]) -> None:
    assert stale(recipe(**{section: settings})) == expected


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("transforms.pages.segments.METHOD_VERSION", FROM_SEGMENTS),
        ("transforms.dedup.signatures.METHOD_VERSION", {"signatures", "duplicates"}),
        ("transforms.dedup.duplicates.METHOD_VERSION", {"duplicates"}),
        ("transforms.prompting.candidates.PARSER", {"candidates"}),
        ("transforms.evaluation.judgements.PARSER", {"verdicts"}),
        ("transforms.evaluation.judgements.SAMPLING", {"verdicts"}),
    ],
)
def test_a_new_method_version_changes_its_digest(
    place: str, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "next")
    assert stale(recipe()) == expected


@pytest.mark.parametrize(
    ("name", "expected"), [("BACKWARD", {"candidates"}), ("FORWARD", FROM_ANSWERS), ("VERDICT", {"verdicts"})]
)
def test_another_prompt_changes_the_digest_of_its_answers(
    name: str, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    template = getattr(digests, name)
    monkeypatch.setattr(digests, name, replace(template, text=f"Please. {template.text}"))
    assert stale(recipe()) == expected


PAIRS = [("a", "Why?", "So."), ("b", "How?", "Thus.")]


@pytest.mark.parametrize(
    ("section", "settings", "is_stale"),
    [
        ("build_training_examples", {"seed_tag": "Another."}, True),
        ("score_candidates", {"samples": 3, "temperature": 1.0, "rationale_chars": 9}, False),
        ("evaluate_models", {"pairs": 9, "iterations": [0]}, False),
        ("judge_check", {"kinds": ["cut"]}, False),
    ],
)
def test_losses_are_stale_where_their_requests_differ(section: str, settings: dict[str, Any], is_stale: bool) -> None:
    before, after = (digests.losses_digest(r, PAIRS) for r in (recipe(), recipe(**{section: settings})))
    assert (before != after) == is_stale


def others() -> list[str]:
    plan = recipe()
    return [
        digests.separations_digest(plan, "likelihood_gain"),
        digests.win_rates_digest(plan, plan.evaluation[0]),
    ]


def test_losses_are_of_their_pairs_in_any_order_and_of_their_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digests.losses_digest(recipe(), PAIRS)
    assert digests.losses_digest(recipe(), PAIRS[::-1]) == before
    assert digests.losses_digest(recipe(), [*PAIRS[:1], ("b", "How?", "Else.")]) != before
    figures = others()
    monkeypatch.setattr("transforms.evaluation.held_out.METHOD_VERSION", "next")
    assert digests.losses_digest(recipe(), PAIRS) != before
    monkeypatch.setattr("transforms.evaluation.figures.METHOD_VERSION", "next")
    assert not {*figures} & {*others()}


class Median(Likelihood):
    """A kind of answer with the requests of another kind, and another reading of the replies."""


def test_another_kind_of_answer_changes_the_digest_of_its_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digests.scores_digest(recipe(), "likelihood_gain")
    scorer = SCORERS["likelihood_gain"]
    monkeypatch.setitem(digests.SCORERS, "likelihood_gain", replace(scorer, kind=Median()))  # type: ignore[arg-type]
    assert digests.scores_digest(recipe(), "likelihood_gain") != before


def test_evaluation_prompts_count_by_what_they_say(tmp_path: Any) -> None:
    found = []
    for file, text in (("a", "Why?"), ("b", "Why?"), ("b", "How?")):
        (tmp_path / file).write_text(f'{{"id": 1, "prompt": "{text}"}}\n')
        own = recipe(ingest_prompts={"sets": {"own": str(tmp_path / file)}}, evaluation=[{"set": "own"}])
        found.append(digests.answers_digest(own, own.evaluation[0]))
    assert found[0] == found[1] != found[2]


@pytest.fixture
def base_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the digests of a base model's files by its path."""
    monkeypatch.setattr(digests, "base_digests", lambda path: (path, f"as 0.2.0 named {path}"))


@pytest.mark.usefixtures("base_models")
@pytest.mark.parametrize("name", TrainingSettings.model_fields)
def test_training_settings_change_the_training_digest(name: str) -> None:
    before = digests.training_digest(recipe(), "forward", 1)
    usual = getattr(Finetune(), name)
    other = not usual if isinstance(usual, bool) else 7
    changed = recipe().model_copy(update={"finetune": Finetune().model_copy(update={name: other})})
    assert (digests.training_digest(changed, "forward", 1) == before) is (name in SPEED_ONLY)


@pytest.mark.usefixtures("base_models")
def test_only_own_epochs_and_base_model_change_a_training_digest() -> None:
    def found(plan: Recipe) -> list[str]:
        return [digests.training_digest(plan, "forward", 1), digests.training_digest(plan, "backward", 0)]

    usual = found(recipe())
    longer = found(recipe(finetune={"epochs_of": {"forward-1": 9.0}, "launcher": "external"}))
    assert [one == other for one, other in zip(usual, longer, strict=True)] == [False, True]
    assert not {*usual} & {*found(recipe(base_model="other"))}


@pytest.mark.usefixtures("base_models")
def test_training_digests_of_this_and_the_first_release_are_valid() -> None:
    settings = {k: v for k, v in Finetune().settings("forward", 1).items() if k not in {*SPEED_ONLY, *ADDED}}
    known = digests.training_digests(recipe(), "forward", 1)
    assert known == (digest([settings, "m"]), digest([settings, "as 0.2.0 named m"]))
    assert digests.training_digest(recipe(), "forward", 1) == known[0]


def test_digests_ignore_key_order_and_are_stable() -> None:
    """Rows of years are named by these: no release may compute them in another way."""
    assert digest({"b": [1, None], "a": "é"}) == digest({"a": "é", "b": [1, None]}) == "3d92f6368f93f3cb"
    assert Section().digest("m", "n") == digest([{}, ["m", "n"]])
    assert Section().digest("m", "n") not in (Section().digest("n", "m"), Section().digest("mn"))
