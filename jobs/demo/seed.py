"""Questions and answers that people wrote, from the FAQ pages of the demo corpus."""

import json
import os
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from jobs.demo.corpus import Entry, sources_of
from jobs.demo.sources import SEED_URL_PREFIXES
from jobs.demo.warc import read_warc
from jobs.errors import JobError
from transforms.crawl.charset import decode_page
from transforms.pages.render import Page, render

MIN_RESPONSE_CHARS = 200
NUMBERED = re.compile(r"\(\d+\) (.+)")  # sqlite.org numbers its questions in paragraphs, not headers

Pair = dict[str, str]


def write_seed(out: Path, max_response_chars: int, say: Callable[[str], None]) -> list[Pair]:
    """Write `out`/seed.jsonl from the corpus in `out`, and return its pairs, one per question.

    Raises:
        JobError: no page of the corpus holds a pair of that length.
    """
    pairs: dict[str, Pair] = {}
    for entry in sources_of(out):
        new_pairs = list(_pairs_of(out, entry, max_response_chars))
        pairs |= {pair["instruction"]: pair for pair in reversed(new_pairs)}
        if new_pairs:
            say(f"{entry['package']}: {len(new_pairs)} questions with answers")
    if not pairs:
        raise JobError(f"no page in {out} holds a question with an answer; check that apt offers debian-faq")
    lines = [json.dumps(pairs[question], ensure_ascii=False) for question in sorted(pairs)]
    text, file = "\n".join(lines) + "\n", out / "seed.jsonl"
    if not (file.exists() and file.read_text(encoding="utf-8") == text):  # a new mtime would make it a new input
        part = out / "seed.jsonl.part"
        part.write_text(text, encoding="utf-8")
        os.replace(part, file)
    say(f"{len(lines)} seed pairs in {file}")
    return list(pairs.values())


def questions_of(html: str) -> list[tuple[str, str]]:
    """List the headers and numbered paragraphs that end in a question mark, each with the text under it."""
    page = render(html)
    return [
        (question, answer)
        for question, start, end in (*_headers(page), *_numbered(page))
        if question.endswith("?") and (answer := page.text(start, end))
    ]


def _headers(page: Page) -> Iterator[tuple[str, int, int]]:
    for section in page.sections:
        yield section.header, section.start, section.end


def _numbered(page: Page) -> Iterator[tuple[str, int, int]]:
    starts = [n for n, block in enumerate(page.blocks) if NUMBERED.fullmatch(block)]
    for start, end in pairwise([*starts, len(page.blocks)]):
        yield page.blocks[start].partition(" ")[2], start + 1, end


def _pairs_of(out: Path, entry: Entry, max_response_chars: int) -> Iterator[Pair]:
    for page in read_warc(out / entry["warc"]):
        if not page.url.startswith(SEED_URL_PREFIXES):
            continue
        html, _ = decode_page(page.html, None)
        for question, answer in questions_of(html):
            if MIN_RESPONSE_CHARS <= len(answer) <= max_response_chars:
                yield {
                    "instruction": question,
                    "response": answer,
                    "language": "en",
                    "licence": entry["licence"],
                    "source": entry["package"],
                    "url": page.url,
                }
