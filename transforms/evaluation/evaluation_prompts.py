"""Read the prompts of an evaluation set from JSON lines, in any of the usual fields."""

import json
from collections.abc import Iterator

FIELDS = ("prompt", "instruction", "text", "question", "turns")


def prompt_texts(line: str) -> Iterator[str]:
    """Yield every prompt in one JSON line; a bare JSON string is a prompt.

    Raises:
        ValueError: the line is not JSON, or has none of the fields.
    """
    value = json.loads(line)
    if isinstance(value, str):
        yield value
        return
    values = [value[f] for f in FIELDS if value.get(f)] if isinstance(value, dict) else []
    if not values:
        raise ValueError(f"it has none of the fields {', '.join(FIELDS)}")
    for text in values:
        yield from (str(t) for t in (text if isinstance(text, list) else [text]))
