"""Crawl files to the rows of `bronze.documents`, each record kept, dropped or rejected by name."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from schemas.bronze import DOCUMENTS
from schemas.result import result_schema
from transforms.charset import UndecodableError, decode_page
from transforms.http import TooLargeError, is_html, split_response, unpack_body
from transforms.warc import Defect, NotWarcError, Record, read_records

NO_PAGES = ("unreadable_file", "empty_file", "not_a_warc", "no_pages")  # rules of a file as a whole
BATCH_BYTES = 16 * 2**20  # of text in one Arrow batch, whatever the number of pages
ROWS = result_schema(DOCUMENTS)
Row = dict[str, Any]


def documents_from(files: DataFrame, *, max_bytes: int) -> DataFrame:
    """The pages of the WARC files named in `source_file`, with `drop_reason` and `rejected`.

    Drop reasons: `http_status` (not 200), `not_html`, `empty_body`, and `repeated` for every copy
    of a page (same address and bytes) but the first by file and offset. Records that are no
    response or resource are no pages and give no row. Rejected: what `file_rows` and `page` name.
    The files must be readable by path on every executor.
    """

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        schema = to_arrow_schema(ROWS, timezone="UTC")
        rows, size = [], 0
        for batch in batches:
            for path in batch.column(0).to_pylist():
                for row in file_rows(str(path), max_bytes):
                    rows.append(row)
                    size += len(row.get("html") or "")
                    if size >= BATCH_BYTES or len(rows) >= 10_000:
                        yield pa.RecordBatch.from_pylist(rows, schema)
                        rows, size = [], 0
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema)

    place = F.concat_ws(":", "source_file", F.coalesce("record_offset", F.lit(-1)))
    copies = Window.partitionBy(F.coalesce("document_id", place)).orderBy("source_file", "record_offset")
    is_copy = F.col("document_id").isNotNull() & (F.row_number().over(copies) > 1)
    rows = files.select("source_file").mapInArrow(read, ROWS)
    return rows.withColumn("drop_reason", F.when(is_copy, "repeated").otherwise(F.col("drop_reason")))


def file_rows(path: str, max_bytes: int) -> Iterator[Row]:
    """One row for each page of a WARC file, and for each defect in it.

    A file that holds no page that can be kept gives one row more, so that it is known to have been
    read: rule `unreadable_file`, `empty_file`, `not_a_warc` or `no_pages`.
    """
    kept, other = 0, Counter[str]()
    try:
        with open(path, "rb") as stream:
            if os.fstat(stream.fileno()).st_size == 0:
                yield _rejected(path, None, "empty_file", "0 bytes")
                return
            for found in read_records(stream, max_bytes):
                row = page(found, path, max_bytes)
                outcome = row.get("drop_reason") or (row.get("rejected") or {}).get("rule")
                if outcome:
                    other[outcome] += 1
                else:
                    kept += 1
                yield row
    except NotWarcError as error:
        yield _rejected(path, None, "not_a_warc", str(error))
    except OSError as error:
        yield _rejected(path, None, "unreadable_file", f"{type(error).__name__}: {error}")
    else:
        if not kept:
            detail = ", ".join(f"{n:,} {what}" for what, n in sorted(other.items())) or "no response records"
            yield _rejected(path, None, "no_pages", detail)


def page(found: Record | Defect, path: str, max_bytes: int) -> Row:
    """The row of one record: kept, dropped by a rule, or rejected.

    Rejected: `broken_record`, `too_large` (more than `max_bytes`, also after decoding) and
    `undecodable` (text in no known encoding).
    """
    if isinstance(found, Defect):
        return _rejected(path, found.offset, found.rule, found.detail)
    place = {
        "source_file": path,
        "record_offset": found.offset,
        "source_id": found.source_id,
        "url": found.url,
    }
    if not found.url:
        return _rejected(path, found.offset, "broken_record", "it has no WARC-Target-URI")
    response = split_response(found.block)
    http = found.content_type.startswith("application/http")
    if response.status != 200:
        return place | {"drop_reason": "http_status"}
    try:
        body = unpack_body(response, max_bytes)
        stored_type = found.identified_type if http else found.content_type.partition(";")[0]
        if not is_html(response, body, stored_type):
            return place | {"drop_reason": "not_html"}
        if not body.strip():
            return place | {"drop_reason": "empty_body"}
        html, charset = decode_page(body, response.charset)
        if (n := len(html.encode())) > max_bytes:
            raise TooLargeError(f"{n:,} bytes of text, {max_bytes:,} allowed")
    except TooLargeError as error:
        return _rejected(path, found.offset, "too_large", f"{found.url}: {error}")
    except UndecodableError as error:
        return _rejected(path, found.offset, "undecodable", f"{found.url}: {error}")
    payload_digest = hashlib.sha256(body).hexdigest()
    return place | {
        "document_id": hashlib.sha256(f"{found.url}\n{payload_digest}".encode()).hexdigest(),
        "crawled_at": found.date,
        "charset": charset,
        "html": html,
        "payload_digest": payload_digest,
    }


def _rejected(path: str, offset: int | None, rule: str, detail: str) -> Row:
    fault = {"rule": rule, "detail": detail, "source_file": path, "record_offset": offset, "payload": None}
    return {"source_file": path, "record_offset": offset, "rejected": fault}
