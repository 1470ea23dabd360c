"""Recipes: what is wrong is said, all of it, and the paper's numbers are the defaults."""

import json
import traceback
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import RecipeError
from jobs.recipe.config import Recipe
from jobs.recipe.loading import RECIPES, load_recipe

MINIMAL = 'name = "x"\nbase_model = "m"\n'


def recipe(tmp_path: Path, text: str = MINIMAL, *overrides: str) -> Recipe:
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    return load_recipe(file, list(overrides))


def test_every_fault_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"iterations: Input should be greater.*curate\.treshold: Extra inputs"
    ) as caught:
        recipe(tmp_path, MINIMAL + "iterations = 0\n[curate]\ntreshold = 4\n")
    assert str(tmp_path / "recipe.toml") in str(caught.value)


def test_overrides_are_toml(tmp_path: Path) -> None:
    found = recipe(
        tmp_path, MINIMAL, 'ingest_documents.paths=["a.warc"]', "curate.threshold=4", "curate.gates={expected = 2.0}"
    )
    assert found.ingest_documents.paths == ("a.warc",)
    assert found.curate.threshold == 4.0
    assert found.curate.gates == {"expected": 2.0}


def test_a_draw_below_the_least_number_of_rows_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"max_pairs = 99 can never reach min_rows = 100; lower min_rows"):
        recipe(tmp_path, MINIMAL, "curate.min_rows=100", "curate.max_pairs=99")
    assert recipe(tmp_path, MINIMAL, "curate.min_rows=100", "curate.max_pairs=100").curate.max_pairs == 100


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("curate", "write section.key=value"),
        ("name=demo", "write a string in quotes"),
        ("name.x=1", "name is a value, not a section"),
    ],
)
def test_a_bad_override_says_how(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(tmp_path, MINIMAL, override)


@pytest.mark.parametrize(
    ("given", "endpoints"),
    [
        ('"local"', ()),
        ("[]", ()),
        ('["http://gpu1:8000/v1/", "http://gpu2/v1"]', ("http://gpu1:8000/v1", "http://gpu2/v1")),
    ],
)
def test_endpoints_are_addresses_or_local(tmp_path: Path, given: str, endpoints: tuple[str, ...]) -> None:
    assert recipe(tmp_path, MINIMAL, f"serving.endpoints={given}").serving.endpoints == endpoints


@pytest.mark.parametrize("given", ['"http://gpu1:8000/v1"', "[1]", "7"])
def test_a_bare_address_is_not_a_list(tmp_path: Path, given: str) -> None:
    with pytest.raises(RecipeError, match=r"serving\.endpoints"):
        recipe(tmp_path, MINIMAL, f"serving.endpoints={given}")


@pytest.mark.parametrize(
    "address",
    [
        "http://ops:pa55word@gpu1/v1",
        "https://pa55word@gpu1:8000/v1",
        "http://ops:pa/55word@gpu1/v1",
        "http://ops:pa55word@gpu1:port/v1",
        "http://gpu1/v1?api_key=pa55word",
        "http://gpu1/v1#pa55word",
        "http://ops%3Apa55word%40gpu1/v1",
        "ops:pa55word@gpu1/v1",
        "http://ops:pa 55word@gpu1/v1",
    ],
)
def test_an_address_with_a_secret_is_refused_without_repeating_it(tmp_path: Path, address: str) -> None:
    given = f'serving.endpoints=["http://gpu0/v1", "{address}"]'
    for overrides in ([given], [given[:-1]], [given.replace("=", "", 1)], [f"name={address}"], [f"name.{given}"]):
        with pytest.raises(RecipeError) as caught:
            recipe(tmp_path, MINIMAL, *overrides)
        said = "".join(traceback.format_exception(caught.value)) if overrides == [given] else str(caught.value)
        assert "55word" not in said or ("@" not in address and overrides != [given])
    with pytest.raises(RecipeError, match=r"serving\.endpoints: .*address 2 of 2 ") as caught:
        recipe(tmp_path, MINIMAL, given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["gpu1:8000/v1", "file:///etc/passwd", "ftp://gpu1/v1", "http://", "http:///v1", "http://gpu1:99999/v1", "", " ",
     "http://gpu1:8000/v1 ", "http://gpu 1/v1", "http://gpu1\\v1", "http://[::1/v1", "http://gpu1:/v1"],
)  # fmt: skip
def test_invalid_addresses_are_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(RecipeError, match=r"address 1 of 1 is not the address of a server; write it like http://gpu1"):
        recipe(tmp_path, MINIMAL, f"serving.endpoints={json.dumps([address])}")


@pytest.mark.parametrize("address", ["http://[::1]:8000/v1", "https://gw.example.org/team-a/v1", "HTTP://10.0.0.7/v1"])
def test_addresses(tmp_path: Path, address: str) -> None:
    assert recipe(tmp_path, MINIMAL, f'serving.endpoints=["{address}"]').serving.endpoints == (address,)


@pytest.mark.parametrize(
    "key", ["curate.threshold", "curate.gates.expected", "inference.patience", "finetune.weight_decay"]
)
@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_numbers_are_numbers(tmp_path: Path, key: str, number: str) -> None:
    """Spark holds NaN for larger than every score."""
    with pytest.raises(RecipeError, match=key):
        recipe(tmp_path, MINIMAL, f"{key}={number}")


def test_a_missing_recipe_error_lists_the_shipped_ones(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no such file.*demo\.toml, .*paper\.toml"):
        load_recipe(tmp_path / "none.toml")


def test_broken_toml(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="not valid TOML"):
        recipe(tmp_path, "name = ")


@pytest.mark.parametrize("name", ["Demo", "a/b", "it's", ""])
def test_an_experiments_name_is_safe_in_paths_and_sql(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match="name: "):
        recipe(tmp_path, f'name = "{name}"\nbase_model = "m"\n')


def test_the_papers_recipe_states_the_defaults(tmp_path: Path) -> None:
    stated = load_recipe(RECIPES / "paper.toml")
    plain = Recipe(name=stated.name, base_model=stated.base_model)
    inputs = {"ingest_documents", "ingest_conversations"}
    assert stated.model_dump(exclude=inputs) == plain.model_dump(exclude=inputs)


def test_a_sections_digest_follows_its_values_and_the_method(tmp_path: Path) -> None:
    a, b = recipe(tmp_path), recipe(tmp_path, MINIMAL, "extract_segments.min_chars=500")
    assert a.extract_segments.digest("1") != b.extract_segments.digest("1")
    assert a.extract_segments.digest("1") != a.extract_segments.digest("2")
    assert a.sign_segments.digest("1") == b.sign_segments.digest("1")


def test_equal_samples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"score_candidates: .*samples > 1 are identical at temperature 0"):
        recipe(tmp_path, MINIMAL, "score_candidates.samples=3")
    with pytest.raises(RecipeError, match=r"generate_candidates: .*samples > 1 are identical at temperature 0"):
        recipe(tmp_path, MINIMAL, "generate_candidates.samples=2", "generate_candidates.temperature=0.0")


def test_the_limit_of_leaks_is_a_share_or_the_seeds(tmp_path: Path) -> None:
    for value, expected in (('"seed"', "seed"), ("0.4", 0.4)):
        assert recipe(tmp_path, MINIMAL, f"curate.max_leak={value}").curate.max_leak == expected
    for value in ("1.5", '"seeds"'):
        with pytest.raises(RecipeError, match=r"curate.max_leak"):
            recipe(tmp_path, MINIMAL, f"curate.max_leak={value}")


@pytest.mark.parametrize("section", ["judge_check", "evaluate_models"])
def test_an_iteration_beyond_the_last_is_refused(section: str) -> None:
    with pytest.raises(ValueError, match=f"{section}.iterations names 3; the forward models are 0 to 2"):
        Recipe.model_validate({"name": "x", "base_model": "b", section: {"iterations": [0, 2, 3]}})


@pytest.mark.parametrize(
    ("evaluations", "fault"),
    [
        ([{"iterations": [0, 3]}], "evaluation humpback: iterations names 3; the forward models are 0 to 2"),
        ([{"judged_iterations": [3]}], "evaluation humpback: judged_iterations names 3; "),
        ([{"reference": 3, "name": "far"}], "evaluation far: reference names 3; "),
        ([{"set": "koala"}], "evaluation: the prompt set koala is not in ingest_prompts.sets; the sets are humpback "),
        (
            [{"judged_iterations": [1]}],
            "evaluation humpback: the answers of iteration 1 would be judged, and its model ",
        ),
        (
            [{"judged_iterations": [2], "reference": 1}],
            "evaluation humpback: the answers of iteration 1 would be judged",
        ),
        ([{}, {"temperature": 0}], "evaluation: 2 entries are named humpback; give each a different name"),
    ],
)
def test_an_impossible_evaluation_is_refused(evaluations: list[dict[str, Any]], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Recipe.model_validate({"name": "x", "base_model": "b", "evaluation": evaluations})


def test_a_set_of_the_users_cannot_have_the_name_of_ours(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"ingest_prompts.sets: .*humpback is the name of the set that comes with"):
        recipe(tmp_path, MINIMAL, 'ingest_prompts.sets={humpback="own.jsonl"}')


def test_the_evaluations_of_an_iteration() -> None:
    entries = [{}, {"name": "greedy", "temperature": 0, "iterations": [1], "judged_iterations": [1], "reference": 1}]
    found = Recipe.model_validate({"name": "x", "base_model": "b", "evaluation": entries})
    assert [[entry.label for entry in found.answered(t)] for t in range(3)] == [["humpback"], ["greedy"], ["humpback"]]
    assert [[entry.label for entry in found.judged(t)] for t in range(3)] == [[], ["greedy"], []]


@pytest.mark.parametrize("key", ["generate_answers", "judge_answers", "select_unlabelled.evaluation_paths"])
def test_a_key_of_an_earlier_release_says_what_to_write_now(tmp_path: Path, key: str) -> None:
    with pytest.raises(RecipeError, match=rf"{key}: .*(an \[\[evaluation\]\]|under ingest_prompts.sets)"):
        recipe(tmp_path, MINIMAL, f"{key}=[1]")


def test_no_scorer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"score_candidates.scorers: .*at least 1 item"):
        recipe(tmp_path, MINIMAL, "score_candidates.scorers=[]")


def test_a_model_can_have_its_own_epochs() -> None:
    demo = load_recipe(RECIPES / "demo.toml", ["finetune.epochs_of={backward-0=2.5}"])
    assert demo.finetune.settings("backward", 0)["epochs"] == 2.5
    assert demo.finetune.settings("forward", 0)["epochs"] == demo.finetune.epochs


@pytest.mark.parametrize(("named", "measured"), [(None, (0, 1, 2)), ([], ()), ([2, 0, 2], (0, 2))])
def test_every_model_is_measured_unless_the_recipe_names_some(
    named: list[int] | None, measured: tuple[int, ...]
) -> None:
    found = Recipe.model_validate({"name": "x", "base_model": "b", "evaluate_models": {"iterations": named}})
    assert found.measured_iterations == measured
