"""Read the prompts of an evaluation set from the file forms of common benchmarks.

A file is a JSON list or JSON lines. A value is a text, or an object with the prompt in one of `FIELDS`: MT-Bench and
Vicuna name it `turns`, Koala and IFEval `prompt`, AlpacaEval and Self-Instruct `instruction`. An `input`, which
Self-Instruct keeps in its first instance, follows the prompt after an empty line.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

FIELDS = ("prompt", "instruction", "text", "question", "turns")
IDS = ("id", "question_id", "key")


@dataclass(frozen=True)
class EvaluationPrompt:
    """One prompt of a set: what a model is asked, and the value of the file that it was read from."""

    prompt_id: str
    """The value's `id`, `question_id` or `key`, else 16 hex digits of the SHA-256 of `prompt`."""
    prompt: str
    """The first turn."""
    other_texts: tuple[str, ...]
    """Later turns, and the texts of other fields of `FIELDS`."""
    category: str | None
    record: str
    """The whole value as JSON, with its other fields, such as a checker's arguments."""


def evaluation_prompts(content: str) -> list[EvaluationPrompt]:
    """Return the prompts of a file, sorted by id; a value that occurs twice counts once.

    Raises:
        ValueError: the file holds no prompt, a value is not a prompt, or two prompts have the same id; it says where.
    """
    found: dict[str, EvaluationPrompt] = {}
    for place, value in _values(content):
        prompt = _prompt(place, value)
        known = found.setdefault(prompt.prompt_id, prompt)
        if known != prompt:
            raise ValueError(
                f"{place}: the id {prompt.prompt_id} is that of another prompt, {known.prompt[:60]!r}; give each "
                "prompt a different id"
            )
    if not found:
        raise ValueError(
            "it holds no evaluation prompt; write one JSON object per line, with the prompt under `prompt`"
        )
    return [found[name] for name in sorted(found)]


def _values(content: str) -> Iterator[tuple[str, Any]]:
    """Yield each value of a JSON list or of JSON lines, with its place."""
    if content.lstrip().startswith("["):
        try:
            values = json.loads(content)
        except ValueError as error:
            raise ValueError(
                f"it begins like a JSON list but is not valid JSON: {error}; correct the list, or write JSON lines"
            ) from error
        yield from ((f"item {number}", value) for number, value in enumerate(values, 1))
        return
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except ValueError as error:
                raise ValueError(f"line {number}: no evaluation prompt: {error}") from error


def _prompt(place: str, value: Any) -> EvaluationPrompt:
    fields = value if isinstance(value, dict) else {"prompt": value}
    texts = [text for name in FIELDS for text in _texts(fields.get(name))]
    if not texts:
        raise ValueError(f"{place}: no evaluation prompt: it has none of the fields {', '.join(FIELDS)} with a text")
    first = "\n\n".join(filter(None, [texts[0], _input(fields)]))
    own_id = next((fields[name] for name in IDS if fields.get(name) is not None), None)
    return EvaluationPrompt(
        prompt_id=hashlib.sha256(first.encode()).hexdigest()[:16] if own_id is None else str(own_id),
        prompt=first,
        other_texts=tuple(texts[1:]),
        category=str(fields["category"]) if fields.get("category") is not None else None,
        record=json.dumps(value, ensure_ascii=False, sort_keys=True),
    )


def _texts(value: Any) -> list[str]:
    """Return the texts of a field: one, or a list of turns."""
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str) and text.strip()]


def _input(fields: dict[str, Any]) -> str:
    """Return the input that belongs to an instruction, or an empty text."""
    instances = fields.get("instances")
    first = instances[0] if isinstance(instances, list) and instances else fields
    value = first.get("input") if isinstance(first, dict) else None
    return value.strip() if isinstance(value, str) else ""
