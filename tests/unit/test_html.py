import pytest

from transforms.pages.html import clean, clean_header, header_level, is_boilerplate, shape_fault
from transforms.pages.render import render


@pytest.mark.parametrize(
    "text",
    [
        "Up Home Next",
        "UpHomeNext",
        "Prev | Up | Next",
        "« Previous Contents Next »",
        "Back to top",
        "Skip to main content",
        "Edit this page on GitHub",
        "Report a bug",
        "Share this article",
        "Share Tweet Pin it E-mail",
        "Facebook | Twitter | Print",
        "Improve this page",
        "View on GitHub",
        "Permalink",
        "Last updated 3 May 2019",
        "This page last modified on 2022-01-20",
        "Copyright © 2019 The Authors",
        "© 2001-2020 Example Inc.",
        "(c) 2004 by the authors",
    ],
)
def test_boilerplate(text: str) -> None:
    assert is_boilerplate(text)


@pytest.mark.parametrize(
    "text",
    [
        "Up to three files may be open.",
        "E-mail",
        "Print the page and share it.",
        "Home directories are backed up at night.",
        "Indexes make queries fast.",
        "Share this with the group when you are done. " + "It is a longer paragraph of real text. " * 5,
        "Copyright law protects works of authors.",
        "1999 was a good year.",
    ],
)
def test_text_is_not_boilerplate(text: str) -> None:
    assert not is_boilerplate(text)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("8.2.3. Mounting a disk", "Mounting a disk"),
        ("8.2.3 Mounting a disk", "Mounting a disk"),
        ("1. Why?", "Why?"),
        ("12) Last", "Last"),
        ("Chapter 4. Storage", "Storage"),
        ("Appendix B: Licences", "Licences"),
        ("A.3. Tables", "Tables"),
        ("§ 5 Liability", "Liability"),
        ("Storage ¶", "Storage"),
        ("Storage #", "Storage"),
        ("C#", "C#"),
        ("3 ways to brew tea", "3 ways to brew tea"),
        ("2019 in review", "2019 in review"),
        ("3.14", "3.14"),
        ("Part of speech", "Part of speech"),
        ("Section breaks", "Section breaks"),
        ("Two\n lines", "Two lines"),
    ],
)
def test_clean_header(header: str, expected: str) -> None:
    assert clean_header(header) == expected


@pytest.mark.timeout(20)
def test_a_million_anchor_signs_take_linear_time() -> None:
    assert clean_header("¶" * 10**6 + "x") == "¶" * 10**6 + "x"
    assert render("<h1>A</h1><p>" + "¶" * 10**6 + "x").blocks[1].endswith("¶x")


def test_clean() -> None:
    assert clean(" a\xa0\t b \n\n c\x00\u202e\xad\u200bd ") == "a b\ncd"
    assert clean("e\u0301") == "\xe9"


def test_header_level() -> None:
    assert [header_level(tag, {}) for tag in ("h1", "h6", "p")] == [1, 6, 0]
    assert header_level("div", {"role": "heading"}) == 2
    assert header_level("div", {"role": "heading", "aria-level": "4"}) == 4
    assert [header_level("div", {"role": "heading", "aria-level": level}) for level in ("99", "12", "x")] == [6, 6, 6]


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ("<div>" * 6000, "too_deep"),
        ("<b>" * 100_000 + "</b>" * 100_000, "too_deep"),
        ("<div></b>" * 6000, "too_deep"),
        ("<details>" * 6000, "too_deep"),
        ("<x-y>" * 6000, "too_deep"),
        ("<svg>" + "<path>" * 40_000 + "</g>" * 40_000, "too_deep"),
        ("<p>tea" * 30_000 + "<div>" * 1_000_000, "too_deep"),
        ("<template>" + "<div>" * 40_000, "too_deep"),
        ("".join(f"<p><b id={n}>x</p>" for n in range(20_000)), "too_deep"),
        ("<svg>" + "<path d='M0 0'/>" * 6000 + "</svg>", None),
        ("<p><code>x</p>" * 6000, None),
        ("<table>" + "<tr><td><label>x</td></tr>" * 6000, None),
        ("<!-- <x> -->" * 6000, None),
        ("<script>'<div>'</script>" * 6000, None),
        ("<div></div>" * 6000, None),
        ("<p>" * 100_000, None),
        ("<h2>a</h2>" * 1_000_000, "too_many_headers"),
        ("<h2>a</h2>" * 10_000, None),
    ],
)
def test_shape_fault(html: str, fault: str | None) -> None:
    assert shape_fault(html) == fault
