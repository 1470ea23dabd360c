import time

import pytest

from transforms.pages.furniture import mark_of, name_mark
from transforms.pages.render import render


def text(body: str) -> str:
    page = render(body)
    return page.text(0, len(page.blocks))


@pytest.mark.parametrize(
    ("tag", "attributes", "expected"),
    [
        ("script", {}, "never"),
        ("nav", {}, "element"),
        ("footer", {}, "element"),
        ("div", {}, None),
        ("div", {"hidden": None}, "hidden"),
        ("div", {"hidden": "until-found"}, None),
        ("div", {"hidden": None, "role": "region", "aria-labelledby": "question-1"}, None),
        ("p", {"aria-hidden": "true"}, "hidden"),
        ("p", {"aria-hidden": "false"}, None),
        ("div", {"style": "color: red; display : none"}, "hidden"),
        ("div", {"role": "navigation"}, "element"),
        ("div", {"role": "main"}, None),
        ("div", {"class": "navheader"}, "name"),
        ("div", {"class": "page-nav"}, "name"),
        ("div", {"id": "breadcrumbs"}, "name"),
        ("p", {"id": "breadcrumbs"}, None),
        ("p", {"class": "breadcrumbs"}, "inline"),
        ("div", {"class": "toc"}, "name"),
        ("a", {"class": "headerlink"}, "anchor"),
        ("ol", {"aria-label": "breadcrumb"}, "name"),
        ("div", {"aria-label": "Main menu"}, "name"),
        ("div", {"aria-label": "How to share files"}, None),
        ("section", {"aria-label": "How to brew tea"}, None),
        ("span", {"class": "visually-hidden"}, "hidden"),
        ("body", {"class": "has-sidebar sidebar"}, None),
        ("article", {"class": "post related"}, None),
        # An id is the slug of a title, but for a container's.
        *((tag, {"id": "pagination"}, None) for tag in ("h2", "section", "dt", "li", "p", "a", "span", "article")),
        ("div", {"id": "pagination"}, "name"),
        ("div", {"id": "pagination", "class": "section"}, None),
        ("div", {"id": "pagination", "class": "section level2"}, None),
        # GUI elements in the text of a manual.
        *((tag, {"class": "menu"}, None) for tag in ("b", "span", "p", "li", "kbd")),
        ("div", {"id": "comments"}, "comments"),
        ("section", {"id": "comments"}, "comments"),
        ("ol", {"class": "comment-list"}, "comments"),
        ("span", {"class": "comment"}, None),
    ],
)
def test_mark_of(tag: str, attributes: dict[str, str | None], expected: str | None) -> None:
    assert mark_of(tag, attributes) == expected


@pytest.mark.parametrize(
    "name",
    [
        "sidebar",
        "left-sidebar",
        "sidebar-1",
        "siteFooter",
        "site-footer",
        "main-nav",
        "post-navigation",
        "nav-links",
        "share-buttons",
        "wp-block-social-links",
        "jp-relatedposts",
        "related-posts",
        "cookie-notice",
        "cookie_banner",
        "gdpr-cookie-notice",
        "footer-widgets",
        "breadcrumbs",
        "govuk-breadcrumbs",
        "md-sidebar",
        "pagination",
        "table-of-contents",
        "widget-area",
        "copyright",
        "advertisement",
    ],
)
def test_furniture_by_name(name: str) -> None:
    assert name_mark(name) == "name"


@pytest.mark.parametrize(
    "name",
    [
        "has-sidebar",
        "no-sidebar",
        "with-sidebar",
        "menu-wrap",
        "content-sidebar-wrap",
        "panel-two-col-sidebar-right",
        "l-sidebar-fixed",
        "nav_drawer_slide",
        "share-btns_containerParent",
        "sharing-with-others",
        "how-do-i-share-global-variables",
        "related-work",
        "the-pager",
        "navigator-chapter",
        "sharepoint",
        "requesting-new-related-lists",
        "cookies-and-sessions",
        "social-network-analysis",
        "pagination-of-results",
        "are-there-copyright-restrictions",
    ],
)
def test_no_furniture_by_name(name: str) -> None:
    assert name_mark(name) is None


@pytest.mark.parametrize(
    "name", ["comments", "respond", "comment-list", "comments-area", "disqus_thread", "post-comments"]
)
def test_comments_by_name(name: str) -> None:
    assert name_mark(name) == "comments"


LONG = "<p>" + "Tea is made of leaves and hot water. " * 20
SHORT = "<p>Some words about us, and no more."


@pytest.mark.parametrize(
    ("body", "has_article"),
    [
        (f"<div class=sidebar>{LONG}</div>{SHORT}", True),
        (f"<div id=menu><h2>Starters</h2>{LONG}</div>", True),
        (f"<div class=footer><main>{LONG}</main></div>{SHORT}", True),
        (f"<div class=related><h1>Tea</h1>{LONG}</div>{LONG}", True),
        (f"<nav>{LONG}</nav>{SHORT}", True),
        (f"<div aria-hidden=true>{LONG}</div>", True),
        (f"<div id=comments>{LONG}</div>", True),
        (f"<div class=sidebar>{LONG}</div><h1>Tea</h1>{LONG}{LONG}", False),
        (f"<div class=sidebar><a>{LONG}</a></div>{SHORT}", False),
        (f"<div class=sphinxsidebar><h1><a>Tea</a></h1>{LONG}</div>{LONG}{LONG}{LONG}", False),
        (f"<div hidden>{LONG}</div>{SHORT * 5}", False),
        (f"<h1>Tea</h1>{SHORT}<div id=comments>{LONG}</div>", False),
        (f"<div id=sharing><h2>Sharing</h2>{LONG}</div>{LONG}{LONG}", True),
        (f"<div id=comments><h2>Comments</h2>{LONG}</div>{LONG}{LONG}", False),
        (f"<div id=related-posts><h2>Related posts</h2>{LONG}</div>{LONG}{LONG}", False),
    ],
)
def test_an_element_that_holds_the_article_stays(body: str, has_article: bool) -> None:
    named = body.index(">", body.index("<div" if "<div" in body else "<nav"))
    marked = f"{body[: named + 1]}zebra {body[named + 1 :]}"
    assert ("zebra" in text(marked)) is has_article


def test_anchor_signs_are_removed_and_title_links_stay() -> None:
    assert text('<h2><a class="header-anchor" href="#a">#</a> Pagination</h2>') == "## Pagination"
    assert text('<h2>Pagination<a class="hash-link" href="#a">\u200b</a></h2>') == "## Pagination"
    assert text('<h2><a class="header-anchor" href="#a"><span>Pagination</span></a></h2>') == "## Pagination"
    assert text('<h2><a class="toc-backref" role="doc-backlink" href="#a">Pagination</a></h2>') == "## Pagination"


def test_a_page_may_have_many_sections_with_such_names() -> None:
    section = f'<div id="sharing"><h2><a class="toc-backref" role="doc-backlink" href="#a">Sharing</a></h2>{LONG}</div>'
    assert text(section * 200).count("## Sharing") == 200


@pytest.mark.parametrize(
    "html",
    [
        "<div class=sidebar>" * 900 + "x",
        "<div class=sidebar><p>tea</div>" * 20_000,
        "<div id=sidebar><h1>tea</h1></div>" * 5_000,
        "<nav>" * 900 + "<p>tea" * 10_000,
        "<div id=comments><a>" * 450,
    ],
)
def test_many_marked_elements_take_linear_time(html: str) -> None:
    start = time.perf_counter()
    render(html)
    assert time.perf_counter() - start < 5
