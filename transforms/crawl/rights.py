"""What a page says about its own use: robots directives and Creative Commons licences."""

import re

ROBOTS = re.compile(r"<meta\b(?=[^>]{0,500}?\bname\s*=\s*[\"']?robots\b)[^>]{0,500}>", re.IGNORECASE)
CONTENT = re.compile(r"\bcontent\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+))", re.IGNORECASE)
LICENCE = re.compile(
    r"creativecommons\.org/(?:licenses/(by(?:-nc)?(?:-nd|-sa)?)|publicdomain/(zero|mark))/(\d\.\d)", re.IGNORECASE
)
DIRECTIVE = re.compile(r"[a-z][a-z-]{2,30}")


def robots_directives(html: str, header: str = "") -> list[str]:
    """The directives of the page's robots meta elements and of its `X-Robots-Tag`, each once, sorted."""
    given = [header]
    for element in ROBOTS.finditer(html):
        if content := CONTENT.search(element[0]):
            given.append(next(filter(None, content.groups()), ""))
    return sorted({word for text in given for word in DIRECTIVE.findall(text.lower())})


def licences(html: str) -> list[str]:
    """The Creative Commons licences that the page links to, each once, by their SPDX names, sorted.

    What is licensed (the page, a picture on it) the link alone does not tell.
    """
    if "creativecommons.org" not in html:
        return []
    return sorted({_spdx(*found.groups()) for found in LICENCE.finditer(html)})


def _spdx(kind: str | None, public: str | None, version: str) -> str:
    if kind:
        return f"CC-{kind.upper()}-{version}"
    return f"CC0-{version}" if public and public.lower() == "zero" else f"CC-PDM-{version}"
