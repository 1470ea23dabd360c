"""Read a recipe from its TOML file, with the overrides of the command line."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jobs.errors import RecipeError
from jobs.recipe.addresses import SECRETS
from jobs.recipe.config import Recipe

MOVED = {
    "generate_answers": "write an [[evaluation]] with `set`, and the file of the set under ingest_prompts.sets",
    "judge_answers": "write `judge`, `judged_iterations` and `reference` in an [[evaluation]]",
    "select_unlabelled.evaluation_paths": "name the files under ingest_prompts.sets; all sets are kept out of the pool",
}
"""Keys of release 0.3.0 and earlier -> what to write instead."""
RECIPES = Path(__file__).parent.parent / "recipes"


def load_recipe(path: str | Path, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe from a TOML file, and apply the `section.key=value` overrides (TOML values).

    Raises:
        RecipeError: there is no such file, it is not TOML, or keys or values are invalid; the message names them all.
    """
    file = Path(path)
    if not file.is_file():
        shipped = ", ".join(sorted(map(str, RECIPES.glob("*.toml"))))
        raise RecipeError(f"recipe {file}: no such file; the recipes that come with humpback are {shipped}")
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {file}: not valid TOML: {error}") from error
    for override in overrides or []:
        _apply_override(values, override)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        keys = [".".join(map(str, fault["loc"])) or "recipe" for fault in error.errors()]
        faults = "; ".join(
            f"{key}: {MOVED.get(key, fault['msg'])}" for key, fault in zip(keys, error.errors(), strict=True)
        )
        raise RecipeError(f"recipe {file}: {faults}") from error


def _redacted(text: str) -> str:
    """Return the text, or an ellipsis if it may be an address with a secret."""
    return "…" if set(SECRETS) & set(text) else text


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    redacted = f"{_redacted(key)}{separator}{_redacted(text)}"
    if not separator:
        raise RecipeError(f"--set {redacted}: write section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(
            f"--set {redacted}: {_redacted(text)} is not a TOML value ({error}); write a string in quotes: "
            f"--set '{_redacted(key)}=\"{_redacted(text)}\"'"
        ) from error
    *sections, name = key.strip().split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise RecipeError(f"--set {redacted}: {section} is a value, not a section")
    values[name] = value
