"""Turn crawl files into rows of `bronze.documents`: each record is kept, dropped for a reason or rejected by a rule."""

import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, BinaryIO

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import LongType, StringType, StructType

from schemas.bronze import DOCUMENTS, HTML, TEXT
from schemas.result import result_schema
from transforms.crawl.charset import UndecodableError, decode_page
from transforms.crawl.formats import format_of
from transforms.crawl.http import TooLargeError, is_html, split_response, unpack_body
from transforms.crawl.records import Columns, Defect, NotWarcError, Part, Record, UnreadableError
from transforms.crawl.rights import licences, robots_directives
from transforms.crawl.xhtml import as_html
from transforms.pages.html import shape_fault

UNREADABLE = "unreadable_file"
NO_PAGES = (UNREADABLE, "empty_file", "not_a_warc", "no_pages")  # rules on a whole file
BATCH_BYTES = 16 * 2**20  # of text in one Arrow batch, however many pages that is
COLUMNS = Columns()
PARTS = StructType().add("source_file", StringType()).add("start", LongType()).add("end", LongType())
ROWS = result_schema(DOCUMENTS)
Row = dict[str, Any]


class ShapeError(ValueError):
    """A page nested too deeply, or with too many headers, for a parser."""

    def __init__(self, rule: str, detail: str) -> None:
        """`rule` names the defect in the quarantine."""
        super().__init__(detail)
        self.rule = rule


def parts_of(files: DataFrame, *, split_bytes: int) -> DataFrame:
    """Split source files (column `source_file`) into parts of about `split_bytes` for `documents_from`.

    A file whose record boundaries follow only from the records before them is read to its end.
    """

    def divide(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        schema = to_arrow_schema(PARTS, timezone="UTC")
        for batch in batches:
            for file in batch.to_pylist():
                parts = file_parts(file["source_file"], split_bytes)
                rows = [{"source_file": file["source_file"], "start": start, "end": end} for start, end in parts]
                yield pa.RecordBatch.from_pylist(rows, schema)

    return files.select("source_file").mapInArrow(divide, PARTS)


def documents_from(parts: DataFrame, *, max_bytes: int, columns: Columns = COLUMNS) -> DataFrame:
    """Read the pages and texts of source files, with `drop_reason` and `rejected`.

    `parts` come from `parts_of`: `source_file`, and its bytes `start` to `end` (null: the whole file).
    Drop reasons: `http_status` (not 200), `not_html`, `empty_body`. Records other than pages give no row.
    `file_rows` and `page` list the rules for rejection. Every executor must be able to read the files by path.
    """

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        schema = to_arrow_schema(ROWS, timezone="UTC")
        rows, size = [], 0
        for batch in batches:
            for part in batch.to_pylist():
                exact = None if part["start"] is None else Part(part["start"], part["end"], is_exact=True)
                for row in part_rows(part["source_file"], max_bytes, exact, columns):
                    rows.append(row)
                    size += len(row.get("content") or "")
                    if size >= BATCH_BYTES or len(rows) >= 10_000:
                        yield pa.RecordBatch.from_pylist(rows, schema)
                        rows, size = [], 0
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema)

    return parts.select("source_file", "start", "end").mapInArrow(read, ROWS)


def of_whole_files(rows: DataFrame) -> DataFrame:
    """Drop the pages of files that could not be read to their ends; a later run reads such a file again."""
    unreadable = F.coalesce(F.col("rejected.rule") == UNREADABLE, F.lit(False))
    half_read = rows.where(unreadable).select("source_file", F.lit(True).alias("half_read")).distinct()
    marked = rows.join(F.broadcast(half_read), "source_file", "left")
    return marked.where(F.col("half_read").isNull() | unreadable).drop("half_read")


def with_repeats(rows: DataFrame) -> DataFrame:
    """Set the `drop_reason` `repeated` on all copies of a page (same address and bytes) but one.

    The copy crawled last is kept; on a tie, the first by file and offset. Finding copies does not shuffle the pages.
    """
    numbered = rows.withColumn("row", F.monotonically_increasing_id())
    copies = Window.partitionBy("document_id").orderBy(
        F.desc_nulls_last("crawled_at"), "source_file", "record_offset", "source_id", "row"
    )
    place = ("document_id", "crawled_at", "source_file", "record_offset", "source_id")
    pages = numbered.where(F.col("document_id").isNotNull()).select("row", *place)
    repeats = pages.withColumn("place", F.row_number().over(copies)).where("place > 1")
    marked = numbered.join(F.broadcast(repeats.select("row", F.lit("repeated").alias("repeated"))), "row", "left")
    return marked.withColumn("drop_reason", F.coalesce("repeated", "drop_reason")).drop("row", "repeated")


def file_parts(path: str, split_bytes: int) -> list[tuple[int, int] | tuple[None, None]]:
    """Return the start and end of each part of a source file; (None, None) for a file that is read whole."""
    try:
        size = os.path.getsize(path)
        if size <= split_bytes:
            return [(None, None)]
        with _opened(path) as stream:
            return list(pairwise([0, *format_of(path).starts(stream, split_bytes), size]))
    except OSError:  # the task that reads the file reports the error to the quarantine
        return [(None, None)]


def file_rows(
    path: str, max_bytes: int, start: int | None = None, end: int | None = None, columns: Columns = COLUMNS
) -> Iterator[Row]:
    """Yield a row for each page or text of a source file that begins in `start` to `end`, and for each defect there.

    Rules that reject a whole file: `unreadable_file`, `empty_file`, `not_a_warc`.
    """
    part = None if start is None and end is None else Part(start or 0, sys.maxsize if end is None else end)
    return part_rows(path, max_bytes, part, columns)


def part_rows(path: str, max_bytes: int, part: Part | None, columns: Columns) -> Iterator[Row]:
    """Yield the rows of `file_rows` for a part; None is the whole file."""
    try:
        with _opened(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size == 0:
                yield _rejected(path, None, "empty_file", "0 bytes")
                return
            whole = Part(0, size, is_exact=True)
            for item in format_of(path).read(stream, part or whole, max_bytes, columns):
                yield page(item, path, max_bytes)
    except NotWarcError as error:
        yield _rejected(path, None, "not_a_warc", str(error))
    except UnreadableError as error:
        yield _rejected(path, None, UNREADABLE, str(error))
    except OSError as error:
        yield _rejected(path, None, UNREADABLE, f"{type(error).__name__}: {error}")


def _opened(path: str) -> BinaryIO:
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("not a regular file, such as a folder or a pipe")  # a pipe would never end
    return open(path, "rb")


def file_without_pages(path: str) -> Row:
    """Return the row that records a file without pages as read."""
    return _rejected(path, None, "no_pages", "it was read to its end, and no page in it was kept")


def page(item: Record | Defect, path: str, max_bytes: int) -> Row:
    """Return the row of one record: kept, dropped or rejected.

    Rules for rejection: `broken_record`, `too_large` (more than `max_bytes`, also after decoding),
    `undecodable` (text in no known encoding), `too_deep` and `too_many_headers` (`shape_fault`).
    """
    if isinstance(item, Defect):
        return _rejected(path, item.offset, item.rule, item.detail)
    if not item.url:
        return _rejected(path, item.offset, "broken_record", "it has no address")
    try:
        columns = _text(item, max_bytes) if item.is_text else _html(item, max_bytes)
    except TooLargeError as error:
        return _rejected(path, item.offset, "too_large", f"{item.url}: {error}")
    except UndecodableError as error:
        return _rejected(path, item.offset, "undecodable", f"{item.url}: {error}")
    except ShapeError as error:
        return _rejected(path, item.offset, error.rule, f"{item.url}: {error}")
    place = {"source_file": path, "record_offset": item.offset, "source_id": item.source_id, "url": item.url}
    return place | {"crawled_at": item.date} | columns


def _html(record: Record, max_bytes: int) -> Row:
    """Return the content columns of an HTML page, or its `drop_reason`."""
    response = split_response(record.block)
    if response.status != 200:
        return {"drop_reason": "http_status"}
    body = unpack_body(response, max_bytes)
    http = record.content_type.startswith("application/http")
    stored_type = record.identified_type if http else record.content_type.partition(";")[0]
    if not is_html(response, body, stored_type):
        return {"drop_reason": "not_html"}
    is_xml = (response.media_type or stored_type).endswith("xml") or body.lstrip().startswith(b"<?xml")
    columns = _content(record.url, body, response.charset, max_bytes, is_xml=is_xml)
    if not columns:
        return {"drop_reason": "empty_body"}
    html = columns["content"]
    if fault := shape_fault(html):
        raise ShapeError(fault, f"{len(html):,} characters of HTML")
    robots = robots_directives(html, response.headers.get("x-robots-tag", ""))
    return columns | {"media_type": HTML, "robots": robots, "licences": licences(html)}


def _text(record: Record, max_bytes: int) -> Row:
    """Return the content columns of a plain text, which has no robots directives or licence links."""
    if len(record.block) > max_bytes:
        raise TooLargeError(f"the text has more than {max_bytes:,} bytes")
    columns = _content(record.url, record.block, "utf-8", max_bytes)
    return columns | {"media_type": TEXT, "robots": [], "licences": []} if columns else {"drop_reason": "empty_body"}


def _content(url: str, body: bytes, charset: str | None, max_bytes: int, *, is_xml: bool = False) -> Row:
    """Decode the bytes of a page and compute its digests; empty for a blank page."""
    content, charset = decode_page(body, charset, is_xml=is_xml) if body.strip() else ("", "")
    if not content.strip():
        return {}
    content = as_html(content) if is_xml else content
    if (n := len(content.encode())) > max_bytes:
        raise TooLargeError(f"{n:,} bytes of text, {max_bytes:,} allowed")
    payload_digest = hashlib.sha256(body).hexdigest()
    document_id = hashlib.sha256(f"{url}\n{payload_digest}".encode()).hexdigest()
    return {"document_id": document_id, "charset": charset, "content": content, "payload_digest": payload_digest}


def _rejected(path: str, offset: int | None, rule: str, detail: str) -> Row:
    fault = {"rule": rule, "detail": detail, "source_file": path, "record_offset": offset, "payload": None}
    return {"source_file": path, "record_offset": offset, "rejected": fault}
