import pytest

from transforms.evaluation.evaluation_prompts import prompt_texts


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ('"bare"', ["bare"]),
        ('{"prompt": "a"}', ["a"]),
        ('{"id": 1, "instruction": "a", "output": "b"}', ["a"]),
        ('{"turns": ["a", "b"]}', ["a", "b"]),
        ('{"question": "a", "text": "b"}', ["b", "a"]),
    ],
)
def test_fields(line: str, texts: list[str]) -> None:
    assert list(prompt_texts(line)) == texts


@pytest.mark.parametrize("line", ["{", "[1]", "{}", '{"answer": "a"}'])
def test_no_prompt(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(prompt_texts(line))
