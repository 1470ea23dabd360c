"""The types that readers of source files share: records, defects, parts, columns and errors."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

INSIDE = "inside_another_record"  # rule: the record is not proved to lie outside every other record


@dataclass(frozen=True)
class Record:
    """One page or text of a source file; `offset` is `record_offset` in `bronze.documents`."""

    offset: int
    url: str
    date: datetime | None
    source_id: str
    content_type: str
    identified_type: str
    block: bytes
    is_text: bool = False  # `block` is plain text, without HTTP or markup


@dataclass(frozen=True)
class Defect:
    """A place in a source file that could not be read, with the rule that it breaks."""

    offset: int
    rule: str
    detail: str


class Part(NamedTuple):
    """The bytes `start` to `end` of a file, read by one task.

    `is_exact`: records begin at both. Otherwise the boundaries are found by reading from the beginning of the file.
    """

    start: int
    end: int
    is_exact: bool = False


@dataclass(frozen=True)
class Columns:
    """The column names in tables of texts; `date` and `id` may be missing, and are then null."""

    url: str = "url"
    text: str = "text"
    date: str = "date"
    id: str = "id"


class NotWarcError(ValueError):
    """A file without a single crawl record."""


class UnreadableError(ValueError):
    """A file that is damaged or does not fit the recipe; a later run tries it again."""


def parse_date(text: str) -> datetime | None:
    """Parse an ISO 8601 date as UTC; return None for an impossible date, as many of ClueWeb09's are."""
    try:
        date = datetime.fromisoformat(text.strip())
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
