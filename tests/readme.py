"""The parts of the README that tests run or compare."""

import re
from pathlib import Path

TEXT = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The contents of every fenced block of a language."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
