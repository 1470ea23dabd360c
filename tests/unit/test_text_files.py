"""Lists that cannot be read are refused before the work begins; a changed list is another method."""

from pathlib import Path

import pytest

from jobs.errors import RecipeError
from jobs.recipe.config import Recipe
from jobs.recipe.digests import segments_digest


def recipe(**sections: object) -> Recipe:
    return Recipe.model_validate({"name": "x", "base_model": "m"} | sections)


@pytest.mark.parametrize("key", ["url_block_lists", "word_block_lists"])
def test_block_list_entries_are_part_of_the_method_digest(tmp_path: Path, key: str) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("b.org\na.org\n")
    other.write_text("\ufeffa.org\n# the same\nb.org\na.org\n", encoding="utf-8")
    digest = segments_digest(recipe(extract_segments={key: [str(one)]}))
    assert digest == segments_digest(recipe(extract_segments={key: [str(other)]}))
    assert digest != segments_digest(recipe())
    other.write_text("a.org\n")
    assert digest != segments_digest(recipe(extract_segments={key: [str(other)]}))


@pytest.mark.parametrize("key", ["url_block_lists", "word_block_lists"])
def test_an_unusable_list_is_named(tmp_path: Path, key: str) -> None:
    path = tmp_path / "list"
    plan = recipe(extract_segments={key: [str(path)]})
    with pytest.raises(RecipeError, match=f"extract_segments.{key}: .*list: .*No such file"):
        segments_digest(plan)
    path.write_bytes(b"good\n\xff\n")
    with pytest.raises(RecipeError, match=f"extract_segments.{key}: .*list: 'utf-8' codec can't decode byte 0xff"):
        segments_digest(plan)
    path.write_text("# nothing yet\n")
    with pytest.raises(RecipeError, match=f"extract_segments.{key}: .*list: no entries"):
        segments_digest(plan)
