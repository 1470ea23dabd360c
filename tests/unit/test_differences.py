"""The settings in which a recipe differs from the defaults."""

from jobs.recipe.config import Recipe
from jobs.recipe.differences import Difference, differences
from jobs.recipe.loading import RECIPES, load_recipe

REQUIRED = {"name": "a", "base_model": "m"}


def of(**settings: object) -> list[Difference]:
    return differences(Recipe.model_validate(REQUIRED | settings).model_dump(mode="json"))


def test_a_recipe_of_defaults_has_no_difference() -> None:
    assert of() == []


def test_differences_are_in_the_notation_of_the_file() -> None:
    assert of(
        iterations=3,
        serving={"eager": True},
        curate={"gates": {"expected": 1.5}},
        generate_candidates={"max_tokens": 64},
    ) == [
        Difference("iterations", "3", "2"),
        Difference("serving.eager", "true", "false"),
        Difference("generate_candidates.max_tokens", "64", "256"),
        Difference("curate.gates.expected", "1.5", "unset"),
    ]


def test_a_recipe_of_another_release_is_compared_key_by_key() -> None:
    settings = Recipe.model_validate(REQUIRED).model_dump(mode="json")
    del settings["iterations"]
    assert differences(settings | {"gone": {"key": "x"}}) == [
        Difference("gone.key", '"x"', "unset"),
        Difference("iterations", "unset", "2"),
    ]


def test_the_paper_recipe_states_defaults_and_names_files() -> None:
    paper = differences(load_recipe(RECIPES / "paper.toml").model_dump(mode="json"))
    assert {d.key.rpartition(".")[2] for d in paper} == {"paths", "licence"}
