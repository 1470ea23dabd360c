"""The cut: known trees in, known pieces out; what holds for every page."""

import hashlib
import random
import re
from dataclasses import dataclass, field, replace
from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.recipe.config import ExtractSegments
from tests.pages import paragraph
from transforms.pages.block_lists import url_matcher, word_counter
from transforms.pages.segments import SegmentRules, finish_row, judge_texts, page_rows, pieces

MIN, MAX = 600, 3000
RULES = SegmentRules(**ExtractSegments().model_dump() | {"min_chars": MIN, "max_chars": MAX})
PROSE = paragraph(random.Random(0), 10)


def p(n: int) -> str:
    """A paragraph of exactly `n` characters."""
    return f"<p>{('tea ' * n)[: n - 1]}x"


def cut(html: str) -> list[tuple[str, int, str | None]]:
    return [(x["header"], x["n_chars"], x["fault"]) for x in pieces(html, MIN, MAX)]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (f"<h1>A</h1>{p(600)}", [("A", 600, None)]),
        (f"<h1>A</h1>{p(3000)}", [("A", 3000, None)]),
        (f"<h1>A</h1>{p(599)}", [("A", 599, "too_short")]),
        (f"<h1>A</h1>{p(3001)}", [("A", 3001, "too_long")]),
        ("<h1>A</h1>", [("A", 0, "too_short")]),
        (f"{p(700)}", [("", 700, "no_header")]),
        ("", [("", 0, "no_header")]),
        (f"{p(50)}<h1>A</h1>{p(700)}", [("", 50, "too_short"), ("A", 700, None)]),
        # The whole fits: 300 + 2 + 4 ("## B") + 2 + 300.
        (f"<h1>A</h1>{p(300)}<h2>B</h2>{p(300)}", [("A", 608, None)]),
        # It does not: the lead text and the sections below are pieces of their own.
        (f"<h1>A</h1>{p(700)}<h2>B</h2>{p(2400)}", [("A", 700, None), ("B", 2400, None)]),
        (f"<h1>A</h1><h2>B</h2>{p(1600)}<h2>C</h2>{p(1600)}", [("B", 1600, None), ("C", 1600, None)]),
        (
            f"<h1>A</h1><section><h2>B</h2>{p(2900)}</section>{p(700)}",
            [("B", 2900, None), ("A", 700, None)],
        ),
        (f"<h1>A</h1><h2></h2>{p(3001)}", [("", 3001, "too_long")]),
        (f"<h1>A</h1>{p(3001)}<h2></h2>", [("A", 3001, "too_long"), ("", 0, "too_short")]),
        ("<h2>a</h2>" * 10_001, [("", 0, "too_many_headers")]),
    ],
)
def test_cut(html: str, expected: list[tuple[str, int, str | None]]) -> None:
    assert cut(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (
            "<h1>Tea</h1><p>Hot.<h2>See also</h2><ul><li>Water</ul><h2>More</h2><p>Cold.",
            [("Tea", "Hot.\n\n## More\n\nCold."), ("See also", "- Water")],
        ),
        (
            "<article><h1>Tea</h1><p>Hot.<h3>Leave a Reply</h3><p>Name<h3>Related posts</h3><p>Ten pans</article>",
            [("Tea", "Hot."), ("Leave a Reply", "Name"), ("Related posts", "Ten pans")],
        ),
        # It ends with the element that holds it, so the text after that is the article's.
        (
            "<h1>Tea</h1><p>Hot.<div><h4>Related articles</h4><p>Ten pans</div><p>Cold.",
            [("Tea", "Hot.\n\nCold."), ("Related articles", "Ten pans")],
        ),
        (
            "<h1>Tea</h1><p>Hot.<div><h4>References</h4><h5>Books</h5><p>A</div><p>Cold.",
            [("Tea", "Hot.\n\nCold."), ("References", "##### Books\n\nA")],
        ),
        # Tags may be the subject of a manual's section; a list of links is not.
        ("<h1>Git</h1><p>Hot.<h2>Tags</h2><p>A tag names it.", [("Git", "Hot.\n\n## Tags\n\nA tag names it.")]),
        ("<h1>Git</h1><p>Hot.<h2>Tags</h2><ul><li><a>tea</a></ul>", [("Git", "Hot."), ("Tags", "- tea")]),
        ("<h1>References</h1><p>A<h2>Books</h2><p>B", [("References", "A\n\n## Books\n\nB")]),
        (
            "<h1>How to boil</h1><p>Hot.<div id=comments><h3>2 thoughts on how</h3><ol class=comment-list><li>Bob</ol>"
            "<div id=respond><h3>Leave a Reply</h3></div></div>",
            [("How to boil", "Hot.")],
        ),
    ],
)
def test_sections_beside_the_text_are_pieces_of_their_own(html: str, expected: list[tuple[str, str]]) -> None:
    found = list(pieces(html, 1, MAX))
    assert [(x["header"], x["text"]) for x in found] == expected
    assert [x["position"] for x in found] == list(range(len(found)))


def test_omitted_text_does_not_count_towards_the_length() -> None:
    html = f"<h1>A</h1>{p(1400)}<h2>See also</h2>{p(900)}<h2>B</h2>{p(1589)}"
    assert cut(html) == [("A", 1400 + 2 + 4 + 2 + 1589, None), ("See also", 900, None)]
    assert [header for header, _, _ in cut(html.replace("<h2>B", f"<h2>C</h2>{p(9)}<h2>B"))] == [
        "A",
        "See also",
        "C",
        "B",
    ]


def test_header_path_and_positions() -> None:
    html = f"<h1>1. A</h1><h2>1.1. B</h2><h4>C</h4>{p(2000)}<h4>D</h4>{p(2000)}"
    found = [(x["position"], x["header_path"], x["header"], x["header_level"]) for x in pieces(html, MIN, MAX)]
    assert found == [(0, ["A", "B"], "C", 4), (1, ["A", "B"], "D", 4)]


@dataclass
class Node:
    """A generated section: its header and paragraphs, then its subsections."""

    header: str
    paragraphs: list[str]
    below: list["Node"] = field(default_factory=list)

    def html(self, level: int) -> str:
        own = f"<h{level}>{self.header}</h{level}>" + "".join(f"<p>{x}</p>" for x in self.paragraphs)
        return own + "".join(node.html(min(level + 1, 6)) for node in self.below)


words = st.text("abcdefghij", min_size=1, max_size=8)
paragraphs = st.lists(st.lists(words, min_size=1, max_size=120).map(" ".join), max_size=5)
headers = st.lists(words, max_size=3).map(" ".join)
trees = st.recursive(
    st.builds(Node, headers, paragraphs),
    lambda below: st.builds(Node, headers, paragraphs, st.lists(below, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=30, deadline=None)
@given(paragraphs, st.lists(trees, max_size=4))
def test_pieces_never_overlap_and_keep_the_words_in_order(lead: list[str], forest: list[Node]) -> None:
    html = "".join(f"<p>{x}</p>" for x in lead) + "".join(node.html(1) for node in forest)
    found = list(pieces(html, MIN, MAX))
    page = re.sub(r"<[^>]*>", " ", html).split()
    taken = [w for x in found for w in x["text"].split() if not w.startswith("#")]
    at = 0
    for word in taken:  # a subsequence: each word of the pieces comes after the one before it in the page
        at = page.index(word, at) + 1
    assert [x["position"] for x in found] == list(range(len(found)))
    for x in found:
        assert x["n_chars"] == len(x["text"])
        assert (x["fault"] is None) == (MIN <= x["n_chars"] <= MAX) or x["fault"] == "no_header"


@settings(max_examples=30, deadline=None)
@given(trees)
def test_the_largest_fitting_section_is_taken(tree: Node) -> None:
    """No section that is taken lies in a section that would have fitted, and all text is in some piece."""
    found = list(pieces(tree.html(1), 1, MAX))
    lost = sum(len(x.split()) for x in _own_texts(tree)) - sum(
        len([w for w in x["text"].split() if not w.startswith("#")]) for x in found
    )
    n_header_words = sum(len(node.header.split()) for node in _nodes(tree))
    assert -n_header_words <= lost <= 0
    if len(found) == 1 and found[0]["fault"] is None and tree.below:
        assert found[0]["header"] == tree.header or not any(tree.paragraphs)


def _nodes(node: Node) -> list[Node]:
    return [node, *(x for below in node.below for x in _nodes(below))]


def _own_texts(node: Node) -> list[str]:
    return [text for x in _nodes(node) for text in x.paragraphs]


def test_headerless_pages_are_cut_by_paragraphs_if_enabled() -> None:
    html = p(400) + p(400) + p(MAX + 1) + p(200)
    found = [(x["n_chars"], x["fault"], x["needs_header"]) for x in pieces(html, MIN, MAX, headerless=True)]
    assert found == [(802, None, False), (MAX + 1, "too_long", False), (200, "too_short", False)]
    assert [x["fault"] for x in pieces("", MIN, MAX, headerless=True)] == ["too_short"]
    assert [x["fault"] for x in pieces(html, MIN, MAX)] == ["no_header"]
    headed = list(pieces(f"{p(700)}<h1>A</h1>{p(700)}", MIN, MAX, headerless=True))
    assert [x["needs_header"] for x in headed] == [True, True]


LINES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["", "  tea \t and\xa0water  ", "<b>tea</b> & &amp; <!-- water", "# No header", "- an item", "```", "a\x00b\u200bc", "e\u0301",
         "Home | Next", "Copyright 2020 Tea Ltd.", "tea ¶", "\u3000", "word " * 900]
    ),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(LINES, max_size=12), st.sampled_from(["\n", "\r\n", "\n\n", "\u2028"]))
def test_plain_text_lines_are_treated_as_paragraphs(lines: list[str], end: str) -> None:
    text = end.join(lines)
    html = "".join(f"<p>{escape(line)}</p>" for line in text.splitlines() if line.strip())
    for headerless in (True, False):
        of_text = list(pieces(text, MIN, MAX, "text/plain", headerless=headerless))
        assert of_text == list(pieces(html, MIN, MAX, headerless=headerless))


def test_markup_like_characters_in_plain_text_stay() -> None:
    text = "# Tea\n\n<h1>Water</h1> first & then\n    the *leaves*"
    (piece,) = pieces(text, 1, MAX, "text/plain", headerless=True)
    assert (piece["header"], piece["text"]) == ("", "# Tea\n\n<h1>Water</h1> first & then\n\nthe *leaves*")


def rows_of(html: str, rules: SegmentRules = RULES, url: str = "http://a.org/") -> list[dict[str, object]]:
    page = {"document_id": "d", "url": url, "media_type": "text/html", "content": html}
    rows = list(page_rows(page, rules, url_matcher(rules.url_block_lists)))
    judge_texts([row for row in rows if not row["drop_reason"]], rules, word_counter(rules.word_block_lists))
    return rows


@pytest.mark.parametrize(
    ("html", "changed", "reason"),
    [
        (f"<h1>A</h1>{p(50)}<h1>Tea</h1>{PROSE}", {}, None),
        (f"<h1>Tea</h1>{PROSE}", {"url_block_lists": ["a.org"]}, "blocked_url"),
        (f"<h1>TEA</h1>{PROSE}", {}, "uppercase_header"),
        (f"<h1>Site map</h1>{PROSE}", {}, "navigation_header"),
        (f"<h1></h1>{PROSE}", {}, "empty_header"),
        (PROSE, {}, "no_header"),
        (PROSE, {"headerless": True}, None),
        (f"<h1>Tea</h1>{PROSE}<p>{PROSE}", {}, "repetitive"),
        (f"<h1>Tea</h1>{PROSE}", {"language": "de"}, "language"),
        (f"<h1>Tea</h1>{PROSE} nonsuch word", {"word_block_lists": ["nonsuch word"]}, "blocked_words"),
        (f"<h1>Tea</h1>{PROSE} nonsuch word", {"word_block_lists": ["nonsuch word"], "max_blocked_words": 1}, None),
    ],
)
def test_the_first_reason_of_a_page_s_last_piece(html: str, changed: dict[str, object], reason: str | None) -> None:
    assert rows_of(html, replace(RULES, **changed))[-1]["drop_reason"] == reason  # type: ignore[arg-type]  # any fields


def test_a_scrubbed_text_must_fit() -> None:
    html = f"<h1>Tea</h1>{PROSE} me@tea.org"
    (row,) = rows_of(html)
    assert str(row["text"]).endswith(" email@example.com")
    assert (row["replaced"], row["n_chars"], row["drop_reason"]) == ([("email", 1)], len(PROSE) + 18, None)
    (row,) = rows_of(html, replace(RULES, max_chars=len(PROSE) + 17))
    assert row["drop_reason"] == "too_long"


def test_an_id_hashes_the_text_that_a_dropped_row_loses() -> None:
    row = {"document_id": "d", "position": 3, "text": "Tea", "drop_reason": "too_short"}
    finish_row(row)
    assert (row["segment_id"], row["text"]) == (hashlib.sha256(b"d\n3\nTea").hexdigest(), None)
    row |= {"text": "Tea", "drop_reason": None}
    finish_row(row)
    assert row["text"] == "Tea"
