"""Evaluation prompts in the shapes that the field's files have."""

from pathlib import Path

import pytest

from jobs.errors import RecipeError
from jobs.recipe.prompts import read_prompts


def test_shapes(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('{"id": "a", "prompt": "Why?"}\n\n{"question_id": 81, "turns": ["First?", "Then?"]}\n"Bare?"\n')
    found = dict(read_prompts(str(file)))
    assert found.pop("a") == "Why?"
    assert found.pop("81") == "First?"
    assert list(found.values()) == ["Bare?"]


def test_a_line_ends_where_json_lines_do(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('\ufeff{"id": "a", "prompt": "One\u2028and two?"}\n')
    assert read_prompts(str(file)) == [("a", "One\u2028and two?")]


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('{"prompt": "Why?"}\n{"other": 1}\n')
    with pytest.raises(RecipeError, match="line 2: no evaluation prompt"):
        read_prompts(str(file))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(RecipeError, match=r"generate_answers\.prompts: nowhere\.jsonl: .*No such file"):
        read_prompts("nowhere.jsonl")


def test_the_built_in_set() -> None:
    prompts = read_prompts(None)
    assert len(prompts) >= 10
    assert len({text for _, text in prompts}) == len(prompts)


@pytest.mark.parametrize("name", ["vicuna_bench_question", "mt_bench_question", "koala_test_set", "ifeval_input_data"])
def test_public_sets(shared_data: Path, name: str) -> None:
    assert len(read_prompts(str(shared_data / "eval" / f"{name}.jsonl"))) >= 80
