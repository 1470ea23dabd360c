"""The texts of an evaluation set's JSON lines, whichever of the usual fields they are in."""

import json
from collections.abc import Iterator

FIELDS = ("prompt", "instruction", "text", "question", "turns")


def prompt_texts(line: str) -> Iterator[str]:
    """Every text that a model would be asked, from one JSON line; a bare JSON string is one itself.

    Raises:
        ValueError: the line is no JSON, or has none of the fields.
    """
    value = json.loads(line)
    if isinstance(value, str):
        yield value
        return
    found = [value[f] for f in FIELDS if value.get(f)] if isinstance(value, dict) else []
    if not found:
        raise ValueError(f"it has none of the fields {', '.join(FIELDS)}")
    for text in found:
        yield from (str(t) for t in (text if isinstance(text, list) else [text]))
