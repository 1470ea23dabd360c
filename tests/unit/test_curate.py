"""The recipe's section reaches the selection of curation and of rewriting."""

from typing import Any
from unittest.mock import MagicMock

import pytest

from jobs.current import selection
from jobs.recipe.config import Recipe


@pytest.mark.parametrize(
    "section", [{}, {"max_pairs": 7, "gates": {"expected": 1.5}, "threshold": 4.0, "max_leak": 0.5, "per_segment": 1}]
)
def test_every_setting_reaches_the_selection(section: dict[str, Any]) -> None:
    recipe = Recipe.model_validate({"name": "x", "base_model": "m", "curate": section})
    found = selection.selection_of(MagicMock(), recipe, MagicMock())
    for setting in ("scorers", "threshold", "top_fraction", "gates", "max_pairs", "max_leak", "per_segment"):
        assert getattr(found, setting) == getattr(recipe.curate, setting), setting
