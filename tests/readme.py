"""The parts of the README that tests run or compare."""

import re
from pathlib import Path

TEXT = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The contents of every fenced block of a language."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def part(name: str) -> str:
    """What stands between the README's comments `<!-- name -->` and `<!-- /name -->`.

    Raises:
        ValueError: there is no such part.
    """
    found = re.search(rf"<!-- {name} -->\n(.*)<!-- /{name} -->", TEXT, re.DOTALL)
    if found is None:
        raise ValueError(f"README.md has no part {name}")
    return found[1].strip()
