"""Evaluation prompts, from the JSON-lines files that a recipe names or the project's own small set."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from importlib.resources import files

from jobs.errors import RecipeError
from jobs.recipe.config import Recipe
from jobs.recipe.files import read_lines
from transforms.evaluation.evaluation_prompts import prompt_texts

Known = tuple[str, str, str]
"""(evaluation set, prompt id, text)."""

BUILT_IN = files("jobs") / "data" / "evaluation_prompts.jsonl"  # may be inside a wheel


def read_prompts(file: str | None) -> list[tuple[str, str]]:
    """Return (prompt id, prompt) of every line, sorted; without a file, those of the project's small set.

    Only the first turn of a prompt with several turns is used.

    Raises:
        RecipeError: the file cannot be read, or a line holds no prompt; the message names the line.
    """
    key = "generate_answers.prompts"
    lines = read_lines(key, file) if file else BUILT_IN.read_text(encoding="utf-8").split("\n")
    return sorted({name: texts[0] for name, texts in _prompts(key, file or str(BUILT_IN), lines)}.items())


def _prompts(key: str, path: str, lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the id and the texts of each non-empty line."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            texts = list(prompt_texts(line))
        except ValueError as error:
            raise RecipeError(f"{key}: {path}, line {number}: no evaluation prompt: {error}") from error
        yield prompt_id(line, texts[0]), texts


def prompt_id(line: str, text: str) -> str:
    """Return the `id`, `question_id` or `key` of a JSON line, else 16 hex digits of the SHA-256 of its prompt."""
    value = json.loads(line)
    explicit_id = (
        next((value[key] for key in ("id", "question_id", "key") if key in value), None)
        if isinstance(value, dict)
        else None
    )
    return str(explicit_id) if explicit_id is not None else hashlib.sha256(text.encode()).hexdigest()[:16]


def evaluation_texts(recipe: Recipe) -> Iterator[Known]:
    """Yield (set, prompt id, text) of every evaluation set that the recipe names, with the set of `generate_answers`.

    Raises:
        RecipeError: a file cannot be read, or a line holds no prompt; the message names the line.
    """
    key = "select_unlabelled.evaluation_paths"
    for path in recipe.select_unlabelled.evaluation_paths:
        for name, texts in _prompts(key, path, read_lines(key, path)):
            yield from ((path, name, text) for text in texts)
    answers = recipe.generate_answers
    yield from ((answers.prompt_set, name, text) for name, text in read_prompts(answers.prompts))
