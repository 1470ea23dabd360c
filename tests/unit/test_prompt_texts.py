"""Evaluation prompts in the shapes that the field's files have."""

import json

import pytest

from transforms.evaluation.evaluation_prompts import evaluation_prompts


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ('"bare"', ["bare"]),
        ('{"prompt": "a"}', ["a"]),
        ('{"id": 1, "instruction": "a", "output": "b"}', ["a"]),
        ('{"instruction": "a", "input": " b "}', ["a\n\nb"]),
        ('{"instruction": "a", "instances": [{"input": "b", "output": "c"}, {"input": "d"}]}', ["a\n\nb"]),
        ('{"instruction": "a", "instances": [{"input": "", "output": "c"}]}', ["a"]),
        ('{"turns": ["a", "b"]}', ["a", "b"]),
        ('{"question": "a", "text": "b"}', ["b", "a"]),
    ],
)
def test_fields(line: str, texts: list[str]) -> None:
    [prompt] = evaluation_prompts(line)
    assert [prompt.prompt, *prompt.other_texts] == texts
    assert json.loads(prompt.record) == json.loads(line)


def test_a_set_is_json_lines_or_a_json_list() -> None:
    lines = '{"id": "a", "prompt": "Why?"}\n\n{"question_id": 81, "category": "maths", "turns": ["First?"]}\n"Bare?"\n'
    values = [json.loads(line) for line in lines.splitlines() if line]
    found = evaluation_prompts(lines)
    assert [(p.prompt_id, p.prompt, p.category) for p in found] == [
        ("30966aa0cad7d3ef", "Bare?", None),
        ("81", "First?", "maths"),
        ("a", "Why?", None),
    ]
    assert evaluation_prompts("\n" + json.dumps(values, indent=1)) == found


def test_a_line_ends_where_json_lines_do() -> None:
    [prompt] = evaluation_prompts('{"id": "a", "prompt": "One\u2028and two?"}\n')
    assert prompt.prompt == "One\u2028and two?"


def test_a_repeated_value_counts_once() -> None:
    assert len(evaluation_prompts('"a"\n"a"\n{"prompt": "b", "id": 1}\n{"id": 1, "prompt": "b"}')) == 2


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{", "line 1: no evaluation prompt: "),
        ('"a"\n{"answer": "a"}', "line 2: no evaluation prompt: it has none of the fields prompt, "),
        ('{"prompt": " "}', "line 1: no evaluation prompt: it has none"),
        ("7", "line 1: no evaluation prompt: it has none"),
        ("[1]", "item 1: no evaluation prompt: it has none"),
        ("[", "it begins like a JSON list but is not valid JSON: "),
        ('{"id": 1, "prompt": "a"}\n{"id": 1, "prompt": "b"}', "line 2: the id 1 is that of another prompt, 'a'"),
        ("\n\n", "it holds no evaluation prompt; write one JSON object per line"),
        ("[]", "it holds no evaluation prompt"),
    ],
)
def test_no_prompt(content: str, fault: str) -> None:
    with pytest.raises(ValueError, match=f"^{fault}"):
        evaluation_prompts(content)
