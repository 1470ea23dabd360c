import time

import pytest

from transforms.pages.render import render


def text(body: str) -> str:
    page = render(body)
    return page.text(0, len(page.blocks))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>One  two\nthree<p>four", "One two three\n\nfour"),
        ("a<br>b<br><br>c", "a\nb\nc"),
        ("<p>see <a href=x>this <b>link</b></a>, now", "see this link, now"),
        ("<h2>1.2. Head&para;</h2>text", "## Head\n\ntext"),
        ("<div role=heading aria-level=3>Head</div>text", "### Head\n\ntext"),
        ("<h2></h2>text", "text"),
        ("<h2><div>Two</div><p>parts</h2>text", "## Two parts\n\ntext"),
        ("<ul><li>a<li><p>b<p>c</ul><p>d", "- a\n- b\n  c\n\nd"),
        ("<p>x<ol><li>a<ul><li>deep</ul><li>b</ol>", "x\n\n1. a\n  - deep\n2. b"),
        ("<li>stray", "stray"),
        ("<dl><dt>term<dd>meaning</dl>", "term\n\nmeaning"),
        ("<dl><dt>open()<a href=#open>¶</a><dd>opens</dl>", "open()\n\nopens"),
        ("run <code>ls  -l</code> now", "run `ls -l` now"),
        ("a <code>`</code> b <code></code>", "a ` b"),
        ("<h2>The <code>ls</code> command</h2>", "## The ls command"),
        ("<pre>\na\n  b  \n\n</pre>", "```\na\n  b\n```"),
        ("<pre> </pre>x", "x"),
        ("<table><tr><th>a<th>b<tr><td>1<td>2 <p>3</table>", "| a | b |\n| --- | --- |\n| 1 | 2 3 |"),
        ("<table><tr><td>1<td>2<tr><td> <td></table>", "| 1 | 2 |"),
        ("<table><tr><td>only<tr><td>column</table>", "only\n\ncolumn"),
        ("<table><tr><td rowspan=2><img><th>Note<tr><td><p>text</table>", "Note\n\ntext"),
        ("<table><tr><td>menu<td><h2>Head</h2>text</table>", "menu\n\n## Head\n\ntext"),
        ("<table><tr><td>a<td>" + "long " * 200 + "</table>", "a\n\n" + ("long " * 200).strip()),
        ("<table><tr><td>a<script>x</script><td hidden>b</table>", "a"),
        ("<script>x</script><nav>y</nav><p hidden>z</p><!-- c -->a", "a"),
        ("<p><a>4.10. Sharpen</a> <a>4.12. Grow</a><p>text", "text"),
        ("<ul><li><a>One</a> <a>Two</a></ul>", "- One Two"),
        ("<p>Up Home Next<p>text<p>© 2019 X", "text"),
        ("<ol start=3><li>a<li>b</ol>", "3. a\n4. b"),
        ("<ol><li>a<li value=5>b<li>c</ol>", "1. a\n5. b\n6. c"),
        ("<ol reversed><li>a<li>b<li>c</ol>", "3. a\n2. b\n1. c"),
        ("<ol reversed start=9><li>a<li>b</ol>", "9. a\n8. b"),
        ("<ol start=x><li>a</ol>", "1. a"),
        ("<ol start=99999999999999999999><li>a</ol>", "1. a"),
        ("<ol start=3><li>a</ol><pre>b</pre><ol start=4><li>c</ol>", "3. a\n\n```\nb\n```\n\n4. c"),
        (
            "<table><tr><th>A<th>B<tr><td rowspan=2>a<td>b<tr><td>c</table>",
            "| A | B |\n| --- | --- |\n| a | b |\n|  | c |",
        ),
        (
            "<table><tr><th>A<th>B<th>C<tr><td colspan=2>a<td>b</table>",
            "| A | B | C |\n| --- | --- | --- |\n| a |  | b |",
        ),
        (
            "<table><tr><td>A<td>B<tr><td colspan=100000000>a<tr><td rowspan=0>b<td>c<tr><td>d</table>",
            "| A | B |\n| a |\n| b | c |\n|  | d |",
        ),
        ("<table><tbody><tr><td rowspan=9>A<td>B<tbody><tr><td>C<td>D</table>", "| A | B |\n| C | D |"),
        (
            "<table><tr><th rowspan=2>A<th colspan=2>B<tr><td>c<td>d</table>",
            "| A | B |  |\n| --- | --- | --- |\n|  | c | d |",
        ),
        ("<table><caption>Tea</caption><tr><td>a|b<td><b>c</b>d</table>", "Tea\n\n| a\\|b | cd |"),
        ("a &lt;b&gt; &amp; \x00 &#xD800;", "a <b> & \ufffd"),
        ("<svg><style>x</style></svg><textarea>y</textarea>a", "a"),
    ],
)
def test_markdown(body: str, expected: str) -> None:
    assert text(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<h3><button aria-expanded=false>How?</button></h3><p>So.", "### How?\n\nSo."),
        ("<h2><span>1.</span> <button>How is it done?</button></h2>", "## How is it done?"),
        ("<h2><button><span>How</span><span data-nosnippet>Show</span></button></h2>", "## How"),
        ("<button class=acc><h3>How?</h3></button>So.", "### How?\n\nSo."),
        ("<details><summary><button>How?</button></summary>So.</details>", "How?\n\nSo."),
        ("<dl><dt><button>Terms</button><dd>So.</dl>", "Terms\n\nSo."),
        ("<button class=accordion>Section 1</button><div>So.</div>", "Section 1\n\nSo."),
        ("<button data-bs-toggle=collapse>Returns</button><div>So.</div>", "Returns\n\nSo."),
        ("<button aria-expanded=false>How do I pay?</button><div>So.</div>", "How do I pay?\n\nSo."),
        ("<h2>Install <button>Copy link</button></h2>So.", "## Install\n\nSo."),
        ("<h2>Comments <button>Newest first</button></h2>So.", "## Comments\n\nSo."),
        ("<h2><button>Copy</button></h2>So.", "So."),
        ("<form>So.<button>Send</button></form>", "So."),
        ("<button aria-expanded=false>Menu</button><button class=collapsed>Show more</button>So.", "So."),
    ],
)
def test_accordion_buttons_are_read_and_action_buttons_are_not(body: str, expected: str) -> None:
    assert text(body) == expected


@pytest.mark.timeout(20)
def test_huge_colspans_are_limited() -> None:
    wide = "<table><tr>" + "<td>a" * 1000 + "<tr><td colspan=99999 rowspan=99999>a<td>b" * 10_000 + "</table>"
    assert len(text(wide)) < 20 * len(wide)


def sections(body: str) -> list[tuple[int, str, int, str]]:
    page = render(body)
    return [(s.level, s.header, s.parent, page.text(s.start, s.end)) for s in page.sections[1:]]


def test_a_section_ends_at_the_next_header_of_its_level_or_above() -> None:
    assert sections("<h1>A</h1>a<h2>B</h2>b<h4>C</h4>c<h3>D</h3>d<h2>E</h2>e<h1>F</h1>f") == [
        (1, "A", 0, "a\n\n## B\n\nb\n\n#### C\n\nc\n\n### D\n\nd\n\n## E\n\ne"),
        (2, "B", 1, "b\n\n#### C\n\nc\n\n### D\n\nd"),
        (4, "C", 2, "c"),
        (3, "D", 2, "d"),
        (2, "E", 1, "e"),
        (1, "F", 0, "f"),
    ]


def test_a_section_ends_with_the_element_that_holds_it() -> None:
    body = "<h1>A</h1>a<aside><h2>Note</h2>n</aside>b<table><tr><td><h3>C</h3>c<td>d</table>"
    assert sections(body) == [
        (1, "A", 0, "a\n\n## Note\n\nn\n\nb\n\n### C\n\nc\n\nd"),
        (2, "Note", 1, "n"),
        (3, "C", 1, "c"),
    ]


def test_a_header_alone_in_its_element_roots_what_follows() -> None:
    assert sections("<table><tr><td><h2>A</h2><tr><td>a</table>b") == [(2, "A", 0, "a\n\nb")]
    assert sections("<div><div class=titlepage><h2>A</h2></div><p>a</div>") == [(2, "A", 0, "a")]


def test_headers_in_page_furniture_are_ignored() -> None:
    assert sections("<nav><h2>Menu</h2></nav><div hidden><h2>B</h2></div><h2>C</h2>c") == [(2, "C", 0, "c")]


@pytest.mark.parametrize(
    "body",
    [
        "<div>" * 4000 + "x",
        "<pre>" + "<b>" * 4000 + "x",
        "<code>" + "<i>" * 4000 + "x",
        "<table><tr><td>a<td>" + "<span>" * 4000 + "x",
        "<ul><li>" * 1000 + "x",
        "<h1>" + "<b>" * 4000 + "x",
    ],
)
def test_deep_nesting_is_no_danger(body: str) -> None:
    start = time.perf_counter()
    assert "x" in text(body)
    assert time.perf_counter() - start < 5


def test_many_headers_take_linear_time() -> None:
    assert len(render("<h2>a</h2>" * 20_000).sections) == 20_001
