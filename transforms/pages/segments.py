"""`bronze.documents` to `silver.segments`: the paper's header-rooted pieces (section 2.1, appendix).

Top-down: the largest section of `min_chars` to `max_chars` is taken whole; a longer one gives way
to the sections in it, and its own text before, between and after them becomes pieces of its own;
a shorter one is a piece as it is. So no two pieces overlap, and every text is in exactly one. A page
without headers gives none, or, if that is wanted, runs of its paragraphs.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructField, StructType

from schemas.bronze import HTML
from schemas.silver import SEGMENTS
from transforms.pages.block_lists import url_matcher, word_counter
from transforms.pages.html import MAX_SECTIONS
from transforms.pages.language import identify_languages
from transforms.pages.personal_data import scrubbed
from transforms.pages.quality_rules import RULES, Limits, quality_fault
from transforms.pages.render import Page, render
from transforms.pages.segment_rules import header_fault, is_repetitive

METHOD_VERSION = "segments-7"
# In the order in which they are looked at: what a rule drops, the next ones do not see.
DROP_REASONS = (
    "blocked_url",
    "too_many_headers",
    "no_header",  # the whole page, one row
    "too_short",
    "too_long",
    "empty_header",
    "uppercase_header",
    "navigation_header",
    "repetitive",
    "language",
    "blocked_words",
    *RULES,
)
ROWS = StructType([StructField(f.name, f.dataType) for f in SEGMENTS.schema if f.name != "method_digest"])


class Span(NamedTuple):
    """Blocks `start` to `end` of a page: a section whole, or a gap of it, outside the sections in it."""

    section: int
    start: int
    end: int
    is_gap: bool


def segments_from(
    documents: DataFrame,
    *,
    min_chars: int,
    max_chars: int,
    headerless: bool,
    language: str,
    max_sentence_jaccard: float,
    sentence_ngram: int,
    quality: Limits,
    url_block_lists: Sequence[str],
    word_block_lists: Sequence[str],
    max_blocked_words: int,
    scrub: Collection[str],
    phone_region: str | None,
    method_digest: str,
) -> DataFrame:
    """Every piece of every document; `drop_reason` names the first of the `DROP_REASONS` that holds for it.

    The block lists are given as their entries. Of a piece that has passed so far the kinds of
    personal data in `scrub` are replaced; its length must fit after that, too.
    """

    def extract(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        schema = to_arrow_schema(ROWS)
        is_blocked, count_blocked = url_matcher(url_block_lists), word_counter(word_block_lists)
        for batch in batches:
            rows = [row for page in batch.to_pylist() for row in rows_of(page, is_blocked(page["url"]))]
            passed = [row for row in rows if not row["drop_reason"]]
            languages = identify_languages([row["text"] for row in passed])
            for row, (code, score) in zip(passed, languages, strict=True):
                row |= {"language": code, "language_score": score}
                if code != language:
                    row["drop_reason"] = "language"
                elif count_blocked(row["text"]) > max_blocked_words:
                    row["drop_reason"] = "blocked_words"
                else:
                    scrub_row(row)
            for row in rows:
                name = f"{row['document_id']}\n{row['position']}\n{row['text']}"
                row["segment_id"] = hashlib.sha256(name.encode()).hexdigest()
                if row["drop_reason"]:
                    row["text"] = None
            yield pa.RecordBatch.from_pylist(rows, schema)

    def rows_of(page: dict[str, Any], is_blocked: bool) -> Iterator[dict[str, Any]]:
        blocked = (_piece(0, "", 0, [], "", "blocked_url"),)
        content, kind = page["content"], page["media_type"]
        for piece in blocked if is_blocked else pieces(content, min_chars, max_chars, kind, headerless=headerless):
            reason = piece.pop("fault")
            if piece.pop("needs_header"):
                reason = reason or header_fault(piece["header"])
            if not reason and is_repetitive(piece["text"], sentence_ngram, max_sentence_jaccard):
                reason = "repetitive"
            yield {"document_id": page["document_id"], "url": page["url"], "drop_reason": reason, **piece}

    def scrub_row(row: dict[str, Any]) -> None:
        row["text"], counts = scrubbed(row["text"], scrub, phone_region)
        row["n_chars"] = len(row["text"])
        row["replaced"] = list(counts.items())
        row["drop_reason"] = length_fault(row["n_chars"], min_chars, max_chars)

    rows = documents.select("document_id", "url", "media_type", "content").mapInArrow(extract, ROWS)
    reason = F.coalesce("drop_reason", quality_fault(F.col("text"), quality))
    judged = rows.withColumn("drop_reason", reason)
    is_kept = F.col("drop_reason").isNull()
    kept = judged.withColumns({name: F.when(is_kept, F.col(name)) for name in ("text", "replaced")})
    return kept.withColumn("method_digest", F.lit(method_digest))


def pieces(
    content: str, min_chars: int, max_chars: int, media_type: str = HTML, *, headerless: bool = False
) -> Iterator[dict[str, Any]]:
    """The pieces of a page in page order: `position`, header columns, `text`, `n_chars`, `fault`, `needs_header`.

    `fault` is the page's or the length rule that the piece breaks, None where it breaks none.
    """
    page = render(content, media_type)
    if len(page.sections) > MAX_SECTIONS:
        yield _piece(0, "", 0, [], "", "too_many_headers")
        return
    if len(page.sections) == 1 and headerless:
        for position, (start, end) in enumerate(paragraph_runs(page, max_chars)):
            text = page.text(start, end)
            fault = length_fault(len(text), min_chars, max_chars)
            yield _piece(position, "", 0, [], text, fault) | {"needs_header": False}
        return
    if len(page.sections) == 1:
        yield _piece(0, "", 0, [], page.text(0, len(page.blocks)), "no_header")
        return
    for position, span in enumerate(select_spans(page, max_chars)):
        section = page.sections[span.section]
        text = page.text(span.start, span.end)
        fault = length_fault(len(text), min_chars, max_chars)
        yield _piece(position, section.header, section.level, _path(page, span.section), text, fault)


def paragraph_runs(page: Page, max_chars: int) -> Iterator[tuple[int, int]]:
    """Block numbers `start` to `end` of the longest runs of at most `max_chars`; a longer block is one by itself."""
    start = length = 0
    for end, (gap, block) in enumerate(zip(page.breaks, page.blocks, strict=True)):
        if end > start and length + len(gap) + len(block) > max_chars:
            yield start, end
            start = end
        length = len(block) if end == start else length + len(gap) + len(block)
    yield start, len(page.blocks)


def length_fault(n_chars: int, min_chars: int, max_chars: int) -> str | None:
    """`too_short` or `too_long`; None for a text that fits."""
    return "too_short" if n_chars < min_chars else "too_long" if n_chars > max_chars else None


def select_spans(page: Page, max_chars: int) -> Iterator[Span]:
    """The largest sections of at most `max_chars`, and what lies between them, in page order."""
    sums = [0, *accumulate(len(b) + len(t) for b, t in zip(page.breaks, page.blocks, strict=True))]
    children: list[list[int]] = [[] for _ in page.sections]
    for index, section in enumerate(page.sections[1:], start=1):
        children[section.parent].append(index)
    todo = [Span(0, 0, len(page.blocks), is_gap=False)]
    while todo:
        span = todo.pop()
        inside = children[span.section]
        first_break = len(page.breaks[span.start]) if span.start < span.end else 0
        fits = sums[span.end] - sums[span.start] - first_break <= max_chars
        if span.is_gap or not inside or (span.section and fits):
            yield span
            continue
        parts: list[Span] = []
        at = span.start
        for child in inside:
            section = page.sections[child]
            parts.append(Span(span.section, at, section.head, is_gap=True))
            parts.append(Span(child, section.start, section.end, is_gap=False))
            at = section.end
        parts.append(Span(span.section, at, span.end, is_gap=True))
        todo.extend(part for part in reversed(parts) if not part.is_gap or part.start < part.end)


def _path(page: Page, section: int) -> list[str]:
    path: list[str] = []
    parent = page.sections[section].parent
    while parent > 0:
        path.append(page.sections[parent].header)
        parent = page.sections[parent].parent
    return path[::-1]


def _piece(position: int, header: str, level: int, path: list[str], text: str, fault: str | None) -> dict[str, Any]:
    return {
        "position": position,
        "header": header,
        "header_level": level,
        "header_path": path,
        "text": text,
        "n_chars": len(text),
        "fault": fault,
        "needs_header": True,
    }
