"""The curation job hands the recipe's section to the selection."""

from typing import Any
from unittest.mock import MagicMock

import pytest

from jobs import curate
from jobs.recipe.config import Recipe
from jobs.recipe.step import Step
from transforms.scoring.curation import Selection


@pytest.mark.parametrize("section", [{}, {"max_pairs": 7, "gates": {"expected": 1.5}, "threshold": 4.0}])
def test_every_setting_reaches_the_selection(monkeypatch: pytest.MonkeyPatch, section: dict[str, Any]) -> None:
    published: list[Selection] = []
    for name in ("methods_of", "judges", "pool", "pairs", "scores", "kept_out", "counting"):
        monkeypatch.setattr(curate, name, MagicMock())
    monkeypatch.setattr(curate, "select_curated", lambda pairs, scores, overlaps, selection, **facts: selection)
    monkeypatch.setattr(curate, "publish", lambda lake, table, rows, **slice: published.append(rows))
    recipe = Recipe.model_validate({"name": "x", "base_model": "m", "curate": section})
    curate.run(MagicMock(), recipe, Step(curate, 1))
    [selection] = published
    for setting in ("scorers", "threshold", "top_fraction", "gates", "max_pairs"):
        assert getattr(selection, setting) == getattr(recipe.curate, setting), setting
