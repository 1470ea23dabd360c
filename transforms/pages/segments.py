"""Cut `bronze.documents` into `silver.segments`: the paper's header-rooted pieces (section 2.1, appendix).

Top-down: a section of at most `max_chars` is one piece. A longer section is split: each section in it is
treated the same way, and the text before, between and after them becomes separate pieces. Sections beside
the text (see also, references, related posts) are removed from their parents and become separate pieces.
So no two pieces overlap, and every text is in exactly one. A page without headers gives no pieces or, as an
option, runs of its paragraphs.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
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
from transforms.pages.language import identify_prose
from transforms.pages.personal_data import scrubbed
from transforms.pages.quality_rules import Limits, quality_fault
from transforms.pages.render import Page, render
from transforms.pages.segment_rules import header_fault, is_end_matter, is_repetitive

METHOD_VERSION = "segments-8"
ROWS = StructType([StructField(f.name, f.dataType) for f in SEGMENTS.schema if f.name != "method_digest"])
Row = dict[str, Any]


@dataclass(frozen=True)
class SegmentRules:
    """The conditions for keeping a piece: the recipe's section, with the entries of its block lists."""

    min_chars: int
    max_chars: int
    headerless: bool
    """True to cut pages without headers by paragraphs."""
    language: str
    max_sentence_jaccard: float
    sentence_ngram: int
    quality: Limits
    url_block_lists: Sequence[str]
    word_block_lists: Sequence[str]
    max_blocked_words: int
    scrub: Collection[str]
    """The kinds of personal data to replace."""
    phone_region: str | None


class Span(NamedTuple):
    """Blocks `start` to `end` of a page: a whole section, or a gap between the sections inside it."""

    section: int
    start: int
    end: int
    is_gap: bool


def segments_from(documents: DataFrame, rules: SegmentRules, *, method_digest: str) -> DataFrame:
    """Return every piece of every document; `drop_reason` is the first of `drop_reasons.DROP_REASONS` that applies."""

    def extract(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        schema = to_arrow_schema(ROWS)
        is_blocked, count_blocked = url_matcher(rules.url_block_lists), word_counter(rules.word_block_lists)
        for batch in batches:
            rows = [row for page in batch.to_pylist() for row in page_rows(page, rules, is_blocked)]
            judge_texts([row for row in rows if not row["drop_reason"]], rules, count_blocked)
            for row in rows:
                finish_row(row)
            yield pa.RecordBatch.from_pylist(rows, schema)

    rows = documents.select("document_id", "url", "media_type", "content").mapInArrow(extract, ROWS)
    reason = F.coalesce("drop_reason", quality_fault(F.col("text"), rules.quality))
    judged = rows.withColumn("drop_reason", reason)
    is_kept = F.col("drop_reason").isNull()
    kept = judged.withColumns({name: F.when(is_kept, F.col(name)) for name in ("text", "replaced")})
    return kept.withColumn("method_digest", F.lit(method_digest))


def page_rows(page: Row, rules: SegmentRules, is_blocked: Callable[[str], bool]) -> Iterator[Row]:
    """Yield a row for each piece of a page, judged by its address, header, length and repetitions."""
    document_id, url = page["document_id"], page["url"]
    if is_blocked(url):
        page_pieces: Iterable[Row] = (_piece(0, "", 0, [], "", "blocked_url"),)
    else:
        page_pieces = pieces(
            page["content"], rules.min_chars, rules.max_chars, page["media_type"], headerless=rules.headerless
        )
    for piece in page_pieces:
        reason = piece.pop("fault")
        if piece.pop("needs_header"):
            reason = reason or header_fault(piece["header"])
        if not reason and is_repetitive(piece["text"], rules.sentence_ngram, rules.max_sentence_jaccard):
            reason = "repetitive"
        yield {"document_id": document_id, "url": url, "drop_reason": reason, **piece}


def judge_texts(rows: Sequence[Row], rules: SegmentRules, count_blocked: Callable[[str], int]) -> None:
    """Set the language of rows that are not dropped yet, judge them by it and by blocked words, and scrub the rest."""
    languages = identify_prose([row["text"] for row in rows])
    for row, (code, score) in zip(rows, languages, strict=True):
        row |= {"language": code, "language_score": score}
        if code not in (rules.language, None):
            row["drop_reason"] = "language"
        elif count_blocked(row["text"]) > rules.max_blocked_words:
            row["drop_reason"] = "blocked_words"
        else:
            scrub_row(row, rules)


def scrub_row(row: Row, rules: SegmentRules) -> None:
    """Replace personal data in a row's text, and check its length again."""
    row["text"], counts = scrubbed(row["text"], rules.scrub, rules.phone_region)
    row["n_chars"] = len(row["text"])
    row["replaced"] = list(counts.items())
    row["drop_reason"] = length_fault(row["n_chars"], rules.min_chars, rules.max_chars)


def finish_row(row: Row) -> None:
    """Set `segment_id`, a hash of document, position and text; clear the text of a dropped row."""
    name = f"{row['document_id']}\n{row['position']}\n{row['text']}"
    row["segment_id"] = hashlib.sha256(name.encode()).hexdigest()
    if row["drop_reason"]:
        row["text"] = None


def pieces(
    content: str, min_chars: int, max_chars: int, media_type: str = HTML, *, headerless: bool = False
) -> Iterator[Row]:
    """Yield the pieces of a page in page order: `position`, header columns, `text`, `n_chars`, `fault`, `needs_header`.

    `fault` is the rule on pages or on length that the piece breaks, or None.
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
    for position, (span, text) in enumerate(spans_with_texts(page, max_chars)):
        section = page.sections[span.section]
        fault = length_fault(len(text), min_chars, max_chars)
        yield _piece(position, section.header, section.level, _path(page, span.section), text, fault)


def paragraph_runs(page: Page, max_chars: int) -> Iterator[tuple[int, int]]:
    """Yield `start` and `end` of greedy runs of blocks of at most `max_chars`; a longer block is a run by itself."""
    start = length = 0
    for end, (gap, block) in enumerate(zip(page.breaks, page.blocks, strict=True)):
        if end > start and length + len(gap) + len(block) > max_chars:
            yield start, end
            start = end
        length = len(block) if end == start else length + len(gap) + len(block)
    yield start, len(page.blocks)


def length_fault(n_chars: int, min_chars: int, max_chars: int) -> str | None:
    """Return `too_short` or `too_long`; None for a length within the limits."""
    return "too_short" if n_chars < min_chars else "too_long" if n_chars > max_chars else None


def spans_with_texts(page: Page, max_chars: int) -> list[tuple[Span, str]]:
    """Return the pieces of a page with headers, in page order."""
    beside = beside_sections(page)
    left_out = {block for index in beside for block in range(page.sections[index].head, page.sections[index].end)}
    spans = [(span, page.text(span.start, span.end, left_out)) for span in select_spans(page, max_chars, beside=beside)]
    for index in beside:
        spans += [(span, page.text(span.start, span.end)) for span in select_spans(page, max_chars, root=index)]
    if not beside:
        return spans
    return sorted((pair for pair in spans if pair[0].section or pair[1]), key=lambda pair: pair[0].start)


def beside_sections(page: Page) -> list[int]:
    """Return the outermost sections that lie beside the text, such as references or related posts."""
    sections: list[int] = []
    end = 0
    for index, section in enumerate(page.sections[1:], start=1):
        if section.head < end or not section.is_navigation:
            continue
        span = slice(section.start, section.end)
        n_chars = sum(map(len, page.blocks[span]))
        if is_end_matter(section.header, sum(page.links[span]) / max(n_chars, 1)):
            sections.append(index)
            end = section.end
    return sections


def select_spans(page: Page, max_chars: int, *, root: int = 0, beside: Collection[int] = ()) -> Iterator[Span]:
    """Yield the largest sections of at most `max_chars` below `root`, and the gaps between them, in page order.

    Sections in `beside` are skipped, and their blocks count as empty.
    """
    sizes = [len(b) + len(t) for b, t in zip(page.breaks, page.blocks, strict=True)]
    for index in beside:
        section = page.sections[index]
        sizes[section.head : section.end] = [0] * (section.end - section.head)
    sums = [0, *accumulate(sizes)]
    children: list[list[int]] = [[] for _ in page.sections]
    for index, section in enumerate(page.sections[1:], start=1):
        if index not in beside:
            children[section.parent].append(index)
    todo = [Span(root, page.sections[root].start, page.sections[root].end, is_gap=False)]
    while todo:
        span = todo.pop()
        inside = children[span.section]
        first = next((block for block in range(span.start, span.end) if sizes[block]), None)
        n_chars = 0 if first is None else sums[span.end] - sums[first] - len(page.breaks[first])
        if span.is_gap or not inside or (span.section and n_chars <= max_chars):
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
        todo.extend(part for part in reversed(parts) if not part.is_gap or sums[part.start] < sums[part.end])


def _path(page: Page, section: int) -> list[str]:
    path: list[str] = []
    parent = page.sections[section].parent
    while parent > 0:
        path.append(page.sections[parent].header)
        parent = page.sections[parent].parent
    return path[::-1]


def _piece(position: int, header: str, level: int, path: list[str], text: str, fault: str | None) -> Row:
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
