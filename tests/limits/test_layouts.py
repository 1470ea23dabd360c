"""Pages in the layouts of two dozen generators and themes: the text is extracted, the page furniture is not."""

import re

import pytest

from tests.layouts import LAYOUTS, TITLES, page
from transforms.pages.segment_rules import header_fault
from transforms.pages.segments import pieces


def words_of(name: str, max_chars: int) -> tuple[set[str], list[str]]:
    found = [piece for piece in pieces(page(name), 1, max_chars) if header_fault(piece["header"]) is None]
    text = " ".join(" ".join([piece["header"], *piece["header_path"], piece["text"]]) for piece in found)
    return set(re.findall(r"\b[wx]\d+\b", text)), [title for title in TITLES if title not in text]


@pytest.mark.parametrize("max_chars", [500, 100_000])
@pytest.mark.parametrize("name", LAYOUTS)
def test_article_text_is_kept_and_page_furniture_dropped(name: str, max_chars: int) -> None:
    all_words = set(re.findall(r"\b[wx]\d+\b", page(name)))
    found, lost_titles = words_of(name, max_chars)
    lost = sorted(word for word in all_words - found if word[0] == "w")
    furniture = sorted(word for word in found if word[0] == "x")
    assert len(lost) <= 0.01 * len(all_words), lost
    assert len(furniture) <= 3, furniture
    assert set(lost_titles) <= {"Menu"}, "which names no section of a text"
