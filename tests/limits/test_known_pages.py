"""Generated pages in which the visibility and the order of every word are known."""

import re
from collections.abc import Callable
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.pages.segments import pieces

Element = Callable[[Callable[[str], str]], str]
"""Renders itself with words from a source, which takes `w` for a visible word and `x` for a hidden one."""


def text(kind: str, n: int) -> Element:
    return lambda word: " ".join(word(kind) for _ in range(n))


def wrapped(start: str, *inside: Element) -> Element:
    end = "".join(f"</{tag}>" for tag in reversed(re.findall(r"<(\w+)", start)))
    return lambda word: start + "".join(element(word) for element in inside) + end


seen = st.integers(1, 40).map(lambda n: text("w", n))
blocks = st.sampled_from(
    ["<p>", "<div>", "<pre>", "<ul><li>", "<ol><li><p>", "<dl><dd>", "<blockquote>", "<p><code>", "<p><a href=x>"]
)
leaves = st.one_of(
    st.builds(wrapped, blocks, seen),
    st.builds(wrapped, st.sampled_from([f"<h{n}>" for n in range(1, 7)] + ["<div role=heading aria-level=3>"]), seen),
    st.builds(lambda a, b, c, d: wrapped("<table>", *(wrapped("<tr>", *(wrapped("<td>", x) for x in r)) for r in ((a, b), (c, d)))), seen, seen, seen, seen),
    st.builds(wrapped, st.sampled_from(
        ["<nav>", "<script>", "<p hidden>", "<div class=breadcrumb>", "<footer>", "<ul aria-hidden=true><li>", "<nav><h2>"]
    ), st.integers(1, 9).map(lambda n: text("x", n))),
)  # fmt: skip
pages = st.lists(
    st.recursive(
        leaves,
        lambda inner: st.builds(
            lambda start, inside: wrapped(start, *inside),
            st.sampled_from(["<section>", "<aside>", "<div>", "<article>", "<table><tr><td>"]),
            st.lists(inner, max_size=5),
        ),
        max_leaves=12,
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(pages, st.sampled_from([100, 300, 3000]))
def test_visible_words_occur_in_at_most_one_piece_in_order(page: list[Element], max_chars: int) -> None:
    numbers = count()
    html = "".join(element(lambda kind: f"{kind}{next(numbers)}") for element in page)
    found = list(pieces(html, 50, max_chars))
    taken = [int(n) for piece in found for n in re.findall(r"\bw(\d+)", piece["text"])]
    assert taken == sorted(set(taken)), "once each, in page order"
    assert not re.search(r"\bx\d", "".join(piece["header"] + piece["text"] for piece in found))
    headers = [
        int(n) for piece in found for n in re.findall(r"\bw(\d+)", " ".join([piece["header"], *piece["header_path"]]))
    ]
    shown = {int(n) for n in re.findall(r"\bw(\d+)", html)}
    assert shown - set(taken) - set(headers) == set(), "no word is lost but as a header"
