"""Read a page's terms of use: robots directives and Creative Commons licences."""

import re

ROBOTS = re.compile(r"<meta\b(?=[^>]{0,500}?\bname\s*=\s*[\"']?robots\b)[^>]{0,500}>", re.IGNORECASE)
CONTENT = re.compile(r"\bcontent\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+))", re.IGNORECASE)
LICENCE = re.compile(
    r"creativecommons\.org/(?:licenses/(by(?:-nc)?(?:-nd|-sa)?)|publicdomain/(zero|mark))/(\d\.\d)", re.IGNORECASE
)
DIRECTIVE = re.compile(r"[a-z][a-z-]{2,30}")


def robots_directives(html: str, header: str = "") -> list[str]:
    """Return the distinct directives of a page's robots meta elements and `X-Robots-Tag`, sorted."""
    texts = [header]
    for element in ROBOTS.finditer(html):
        if content := CONTENT.search(element[0]):
            texts.append(next(filter(None, content.groups()), ""))
    return sorted({word for text in texts for word in DIRECTIVE.findall(text.lower())})


def licences(html: str) -> list[str]:
    """Return the SPDX names of the distinct Creative Commons licences that a page links to, sorted.

    A link does not show whether it licenses the page or, for instance, a picture on it.
    """
    if "creativecommons.org" not in html:
        return []
    return sorted({_spdx(*match.groups()) for match in LICENCE.finditer(html)})


def _spdx(kind: str | None, public: str | None, version: str) -> str:
    if kind:
        return f"CC-{kind.upper()}-{version}"
    return f"CC0-{version}" if public and public.lower() == "zero" else f"CC-PDM-{version}"
