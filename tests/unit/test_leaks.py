"""The leak detector: which words of an instruction count as shared with the response."""

import pytest

from jobs.recipe.digests import scores_digest
from tests.unit.test_scorer_settings import recipe
from transforms.scoring.leaks import leak
from transforms.scoring.scorers import asking

RESPONSE = (
    "Ask apt which package holds the file. The command apt-file search prints the names of all packages that hold a "
    "file of this name, also of those that are not installed. Run apt-file update first."
)


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("How do I find the Debian package that a missing header file belongs to?", 0.0),
        ("The command apt-file search prints the names of all packages that hold a file of this name.", 1.0),
        ("THE command, 'apt-file search', prints -- the names of all packages (that hold a file of this name)!", 1.0),
        ("How do I find it, when apt-file search prints the names of nothing?", 7 / 14),
        ("name this of file a hold that packages all of names the prints search", 0.0),
        ("Is it the file of which the names of all are prints, and that of the search?", 4 / 17),
        ("Ask apt which package holds the file?", 7 / 12),
        ("Which package holds?", 0.0),
        ("", 0.0),
    ],
    ids=["own words", "recited", "case and marks", "in part", "backwards", "short runs", "title", "short", "empty"],
)
def test_words_in_runs_of_four_are_shared(instruction: str, expected: float) -> None:
    assert leak(instruction, RESPONSE) == pytest.approx(expected)


def test_a_response_of_three_words_gives_nothing_to_share() -> None:
    assert leak("Run apt-file", "Run apt-file.") == 0.0


def test_letters_with_accents_are_parts_of_words() -> None:
    assert leak("Où naît été après été? " * 3, "où naît été après été, dit-il") == 1.0
    assert leak("Où naît été après été? " * 3, "o naît t aprs t, dit-il") == 0.0


def test_a_scorer_without_a_model_is_as_its_version_says() -> None:
    changed = recipe(score_candidates={"temperature": 0.5}, build_training_examples={"seed_tag": "Another."})
    assert scores_digest(changed, "leak_free") == scores_digest(recipe(), "leak_free")
    with pytest.raises(TypeError, match="the scorer leak_free asks no model"):
        asking("leak_free")
