"""Comparison of a recipe's settings with the defaults, which are the paper's where the paper gives a value."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jobs.recipe.config import Recipe

REQUIRED = frozenset(name for name, field in Recipe.model_fields.items() if field.is_required())


class Difference(NamedTuple):
    """One setting that is not the default; values are in TOML's notation, and `unset` if there is none."""

    key: str
    value: str
    default: str


def differences(settings: Mapping[str, Any]) -> list[Difference]:
    """Return the settings that differ from this release's defaults, in the recipe's order.

    `settings` is a recipe as JSON, from any release. The keys that every recipe must give are left out.
    """
    default_recipe = Recipe.model_validate(dict.fromkeys(REQUIRED, "none")).model_dump(mode="json")
    actual, defaults = dict(_flattened(settings)), dict(_flattened(default_recipe))
    keys = [key for key in (actual | defaults) if key not in REQUIRED and actual.get(key) != defaults.get(key)]
    return [Difference(key, _as_toml(actual.get(key)), _as_toml(defaults.get(key))) for key in keys]


def _flattened(section: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting with its key, such as `serving.port`."""
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def _as_toml(value: Any) -> str:
    return "unset" if value is None else json.dumps(value, ensure_ascii=False)
