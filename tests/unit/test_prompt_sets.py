"""The prompt sets of a recipe."""

from pathlib import Path
from typing import Any

import pytest

from jobs.errors import RecipeError
from jobs.recipe.config import Recipe
from jobs.recipe.prompts import evaluation_texts, read_set, set_digest


def recipe(**sections: Any) -> Recipe:
    return Recipe.model_validate({"name": "x", "base_model": "m"} | sections)


def of(path: Path) -> Recipe:
    return recipe(ingest_prompts={"sets": {"own": str(path)}})


def test_every_text_of_every_set_is_kept_out(tmp_path: Path) -> None:
    path, other = tmp_path / "prompts.jsonl", tmp_path / "other.jsonl"
    other.write_text('{"id": 3, "prompt": "d"}\n')
    path.write_text('\ufeff"a"\n\n{"question_id": 7, "turns": ["b\u2028", "c"]}\n', encoding="utf-8")
    plan = recipe(ingest_prompts={"sets": {"own": str(path), "other": str(other)}}, evaluation=[{"set": "other"}])
    assert list(evaluation_texts(plan)) == [
        ("own", "7", "b\u2028"), ("own", "7", "c"), ("own", "ca978112ca1bbdca", "a"), ("other", "3", "d"),
    ]  # fmt: skip


def test_the_set_of_this_project_is_kept_out_if_it_is_used() -> None:
    assert {name for name, _, _ in evaluation_texts(recipe())} == {"humpback"}
    assert list(evaluation_texts(recipe(evaluation=[]))) == []


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('{"prompt": "Why?"}\n{"other": 1}\n')
    with pytest.raises(RecipeError, match=r"ingest_prompts\.sets\.own: .*p\.jsonl: line 2: no evaluation prompt"):
        read_set(of(file), "own")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"ingest_prompts\.sets\.own: .*nowhere\.jsonl: .*No such file"):
        read_set(of(tmp_path / "nowhere.jsonl"), "own")


def test_a_version_of_a_set_is_what_its_file_says(tmp_path: Path) -> None:
    digests = []
    for text in (
        '{"id": 1, "prompt": "a"}',
        ' {"prompt": "a", "id": 1}\n',
        '{"id": 1, "prompt": "a", "category": "c"}',
    ):
        (tmp_path / "p").write_text(text)
        digests.append(set_digest(read_set(of(tmp_path / "p"), "own")))
    assert digests[0] == digests[1] != digests[2]


def test_the_built_in_set() -> None:
    prompts = read_set(recipe(), "humpback")
    assert len(prompts) == len({prompt.prompt for prompt in prompts}) == 20


@pytest.mark.parametrize(
    ("name", "n"),
    [
        ("vicuna_bench_question", 80),
        ("mt_bench_question", 80),
        ("koala_test_set", 180),
        ("ifeval_input_data", 541),
        ("self_instruct_user_oriented", 252),
        ("oasst_prompt_lottery_en_250", 250),
    ],
)
def test_public_sets(shared_data: Path, name: str, n: int) -> None:
    assert len(read_set(of(shared_data / "eval" / f"{name}.jsonl"), "own")) == n
