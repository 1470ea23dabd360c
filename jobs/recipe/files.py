"""Read the text files that a recipe names."""

from collections.abc import Iterable
from pathlib import Path

from jobs.errors import RecipeError
from transforms.pages.block_lists import entries


def read_text(key: str, path: str) -> str:
    """Return the content of a UTF-8 file, with or without a byte order mark.

    Raises:
        RecipeError: there is no such file, or it is not UTF-8; the message names the recipe's key.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{key}: {path}: {error}") from error


def read_entries(key: str, paths: Iterable[str]) -> list[str]:
    """Return the distinct entries of all lists under a key of `extract_segments`, sorted.

    Raises:
        RecipeError: a file cannot be read, or has no entry.
    """
    all_entries: set[str] = set()
    for path in paths:
        file_entries = entries(read_text(f"extract_segments.{key}", path).split("\n"))
        if not file_entries:
            raise RecipeError(f"extract_segments.{key}: {path}: no entries; write one a line, or leave the file out")
        all_entries.update(file_entries)
    return sorted(all_entries)
