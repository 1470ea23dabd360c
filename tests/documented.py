"""Code blocks, commands, queries and links of README and docs, for tests."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = (README, *sorted(page for page in DOCS.glob("*.md") if page.name != "index.md"))

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
CALL = re.compile(r"(?:^|\$\()(humpback .*?)(?: \||\)$|  #|$)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    text: str


def blocks(language: str) -> list[Block]:
    """Return every fenced block of a language, in the order of the pages."""
    return [Block(page.name, text) for page in PAGES for name, text in FENCED.findall(_text(page)) if name == language]


def commands() -> list[str]:
    """Return every call of `humpback` in a shell block: continued lines joined, comments and pipes removed."""
    lines = [line for block in blocks("sh") for line in block.text.replace("\\\n", " ").splitlines()]
    return [call for line in lines for call in CALL.findall(line)]


def sql_queries() -> list[str]:
    """Return every SELECT and WITH of SQL blocks and `humpback sql` commands; all run on the demo's lake."""
    calls = [words for words in map(shlex.split, commands()) if words[1] == "sql"]
    queries = [next(word for word in words[2:] if " " in word) for words in calls]
    statements = [*(block.text for block in blocks("sql")), *queries]
    return [query for query in dict.fromkeys(statements) if re.match(r"SELECT\b|WITH\b", query)]


def query_with(part: str) -> str:
    """Return the only query that contains `part`."""
    [query] = [query for query in sql_queries() if part in query]
    return query


def links(page: Path) -> Iterator[str]:
    """Yield the targets of the links and pictures of a page, without those in code."""
    yield from LINK.findall(re.sub(r"`[^`\n]*`", "", FENCED.sub("", _text(page))))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub and the site give to the headings of a page."""
    titles = HEADING.findall(FENCED.sub("", _text(page)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")
