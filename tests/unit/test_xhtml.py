"""Pages that are XML give a parser of HTML what they say."""

from pathlib import Path

import pytest

from tests import crawls
from transforms.crawl.documents import file_rows
from transforms.crawl.xhtml import as_html
from transforms.pages.segments import pieces

OPEN = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x.dtd">\n'
TEA = "<h1>Tea</h1><p>Water first.</p>"


def body_of(inner: str) -> str:
    return f'<html xmlns="http://www.w3.org/1999/xhtml"><head>{inner}</head><body>{TEA}</body></html>'


@pytest.mark.parametrize(
    ("xml", "html"),
    [
        ("<title/>", "<title></title>"),
        ('<script src="a>b/c.js" />', '<script src="a>b/c.js"></script>'),
        ("<p class='a/>'/>", "<p class='a/>'></p>"),
        ("<br/><img src='a' /><BR/>", "<br/><img src='a' /><BR/>"),
        ("<br></br>", "<br>"),
        ("<!-- <title/> -->", "<!-- <title/> -->"),
        ('<script>write("<p/>".length &lt; 1)</script>', '<script>write("<p/>".length &lt; 1)</script>'),
        ("<p><![CDATA[1 < 2 & <b/>]]></p>", "<p>1 &lt; 2 &amp; &lt;b/&gt;</p>"),
        ("<p>a&nbsp;b &eacute;</p>", "<p>a&nbsp;b &eacute;</p>"),
        (
            '<h:p xmlns:h="http://www.w3.org/1999/xhtml"><h:i/></h:p>',
            '<p xmlns:h="http://www.w3.org/1999/xhtml"><i></i></p>',
        ),
    ],
)
def test_elements(xml: str, html: str) -> None:
    assert as_html(f"{OPEN}<html>{xml}</html>") == f"{OPEN}<html>{html}</html>"


@pytest.mark.parametrize("page", ["<html><title/><p>a<br></html>", "<html><p/>&", "<html/><p/>", "<p/>\ud800", ""])
def test_text_that_is_not_xml_is_unchanged(page: str) -> None:
    assert as_html(page) == page


def test_expanding_entities_are_not_expanded() -> None:
    page = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x><p/>&b;</x>'
    assert as_html(page) == page


@pytest.mark.parametrize(
    ("content_type", "page", "found"),
    [
        ("application/xhtml+xml", body_of("<title/>"), "Tea"),
        ("application/xhtml+xml; charset=utf-8", OPEN + body_of('<script src="a.js"/>'), "Tea"),
        ("text/html", OPEN + body_of("<style/>"), "Tea"),
        ("application/xhtml+xml", body_of("<title>x</title>").replace("</p>", "<br></p>"), "Tea"),  # as HTML
        ("text/xml", body_of("<title/>"), "Tea"),
        ("text/html", body_of("<title/>"), ""),  # as a browser reads it
    ],
)
def test_from_a_record_to_its_pieces(tmp_path: Path, content_type: str, page: str, found: str) -> None:
    path = tmp_path / "a.warc"
    path.write_bytes(crawls.record(crawls.http(page.encode(), f"Content-Type: {content_type}")))
    (row,) = file_rows(str(path), 2**20)
    headers = [(piece["header"], piece["text"]) for piece in pieces(row["content"], 1, 1000)]
    assert headers == ([(found, "Water first.")] if found else headers)
    assert any(header == "Tea" for header, _ in headers) == bool(found)
