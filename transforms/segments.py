"""`bronze.documents` to `silver.segments`: the paper's header-rooted pieces (section 2.1, appendix).

Top-down: the largest section of `min_chars` to `max_chars` is taken whole; a longer one gives way
to the sections in it, and its own text before, between and after them becomes pieces of its own;
a shorter one is a piece as it is. So no two pieces overlap, and every text is in exactly one.
"""

import hashlib
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructField, StructType

from schemas.silver import SEGMENTS
from transforms.html import MAX_SECTIONS
from transforms.language import identify_languages
from transforms.quality_rules import Limits, quality_fault
from transforms.render import Page, render
from transforms.segment_rules import header_fault, is_repetitive

METHOD_VERSION = "segments-3"
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
    language: str,
    max_sentence_jaccard: float,
    sentence_ngram: int,
    quality: Limits,
    method_digest: str,
) -> DataFrame:
    """Every piece of every document; `drop_reason` names the first of the rules that it breaks.

    In this order: `too_many_headers`, `no_header` (the whole page, one row);
    `too_short`, `too_long`; `empty_header`, `uppercase_header`, `navigation_header`; `repetitive`;
    `language`; then those of `transforms.quality_rules`, which look at the text as a whole.
    """

    def extract(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        schema = to_arrow_schema(ROWS)
        for batch in batches:
            rows = [row for page in batch.to_pylist() for row in rows_of(page)]
            passed = [row for row in rows if not row["drop_reason"]]
            languages = identify_languages([row["text"] for row in passed])
            for row, (code, score) in zip(passed, languages, strict=True):
                row |= {"language": code, "language_score": score}
                row["drop_reason"] = None if code == language else "language"
            for row in rows:
                row["text"] = None if row["drop_reason"] else row["text"]
            yield pa.RecordBatch.from_pylist(rows, schema)

    def rows_of(page: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for piece in pieces(page["html"], min_chars, max_chars):
            text, fault = piece["text"], piece.pop("fault") or header_fault(piece["header"])
            if not fault and is_repetitive(text, sentence_ngram, max_sentence_jaccard):
                fault = "repetitive"
            name = f"{page['document_id']}\n{piece['position']}\n{text}"
            yield piece | {
                "segment_id": hashlib.sha256(name.encode()).hexdigest(),
                "document_id": page["document_id"],
                "url": page["url"],
                "drop_reason": fault,
            }

    rows = documents.select("document_id", "url", "html").mapInArrow(extract, ROWS)
    reason = F.coalesce("drop_reason", quality_fault(F.col("text"), quality))
    judged = rows.withColumn("drop_reason", reason)
    kept = judged.withColumn("text", F.when(F.col("drop_reason").isNull(), F.col("text")))
    return kept.withColumn("method_digest", F.lit(method_digest))


def pieces(html: str, min_chars: int, max_chars: int) -> Iterator[dict[str, Any]]:
    """The pieces of a page in page order: `position`, header columns, `text`, `n_chars` and `fault`.

    `fault` is the page's or the length rule that the piece breaks, None where it breaks none.
    """
    page = render(html)
    if len(page.sections) > MAX_SECTIONS:
        yield _piece(0, "", 0, [], "", "too_many_headers")
        return
    if len(page.sections) == 1:
        yield _piece(0, "", 0, [], page.text(0, len(page.blocks)), "no_header")
        return
    for position, span in enumerate(select_spans(page, max_chars)):
        section = page.sections[span.section]
        text = page.text(span.start, span.end)
        fault = "too_short" if len(text) < min_chars else "too_long" if len(text) > max_chars else None
        yield _piece(position, section.header, section.level, _path(page, span.section), text, fault)


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
    }
