"""Rows of tables of texts (Parquet, JSONL) as records: an address, a text, and perhaps a date and an id."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from transforms.crawl.records import Columns, Defect, Record, UnreadableError, parse_date

URL_CHARS = 64 * 2**10  # as many as a WARC header may have
MAX_SHOWN = 30


def text_record(offset: int, row: Mapping[str, Any], columns: Columns) -> Record | Defect:
    """The text of a row; a `broken_record` where the address or the text is no string."""
    url, text, source_id = (row.get(name) for name in (columns.url, columns.text, columns.id))
    if not isinstance(url, str) or not isinstance(text, str):
        name, value = (columns.text, text) if isinstance(url, str) else (columns.url, url)
        what = "null or missing" if value is None else f"of type {type(value).__name__}"
        return Defect(offset, "broken_record", f"{name} is {what}, not a string")
    if len(url) > URL_CHARS:
        return Defect(offset, "broken_record", f"{columns.url} has {len(url):,} characters")
    source_id = str(source_id).strip("<>") if isinstance(source_id, str | int) else ""
    try:
        block = text.encode()
        f"{url}{source_id}".encode()
    except UnicodeEncodeError as error:
        return Defect(offset, "broken_record", f"it holds half of a surrogate pair, at character {error.start:,}")
    return Record(
        offset=offset,
        url=url.strip(),
        date=_date(row.get(columns.date)),
        source_id=source_id or f"record at {offset}",
        content_type="text/plain",
        identified_type="text/plain",
        block=block,
        is_text=True,
    )


def columns_missing(columns: Columns, found: Iterable[str]) -> UnreadableError:
    """The error of a table without the columns that the recipe names; `found` is what it has."""
    names = list(found)
    shown = ", ".join(names[:MAX_SHOWN]) + (", ..." if len(names) > MAX_SHOWN else "")
    return UnreadableError(
        f"it lacks an address {columns.url!r} or a text {columns.text!r}; it has {shown}: "
        "set ingest_documents.url_column and ingest_documents.text_column"
    )


def _date(value: object) -> datetime | None:
    """A date in UTC; None for what is no date, and for one that no calendar has."""
    if isinstance(value, datetime):
        return parse_date(value.isoformat())
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    return parse_date(value) if isinstance(value, str) else None
