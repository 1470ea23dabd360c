"""Turn rows of text tables (Parquet, JSONL) into records: address, text, and optionally date and id."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from transforms.crawl.records import Columns, Defect, Record, UnreadableError, parse_date

URL_CHARS = 64 * 2**10  # the limit on a WARC header, too
MAX_SHOWN = 30


def text_record(offset: int, row: Mapping[str, Any], columns: Columns) -> Record | Defect:
    """Return the text of a row, or a `broken_record` if its address or text is unusable."""
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
        return Defect(offset, "broken_record", f"it has an unpaired surrogate at character {error.start:,}")
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
    """Return the error for a table without the recipe's columns; `found` are the columns that it has."""
    names = list(found)
    shown = ", ".join(names[:MAX_SHOWN]) + (", ..." if len(names) > MAX_SHOWN else "")
    return UnreadableError(
        f"it lacks an address column {columns.url!r} or a text column {columns.text!r}; it has {shown}: "
        "set ingest_documents.url_column and ingest_documents.text_column"
    )


def _date(value: object) -> datetime | None:
    """Return a date in UTC; None for a value that is no date or an impossible one."""
    if isinstance(value, datetime):
        return parse_date(value.isoformat())
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    return parse_date(value) if isinstance(value, str) else None
