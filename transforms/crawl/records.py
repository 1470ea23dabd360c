"""What a source file is read into: records, and the places in it that could not be read."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

INSIDE = "inside_another_record"  # the rule of a record that nothing shows to lie outside every other one


@dataclass(frozen=True)
class Record:
    """One page or text of a source file, read whole; `offset` is its place, as `bronze.documents` describes it."""

    offset: int
    url: str
    date: datetime | None
    source_id: str
    content_type: str
    identified_type: str
    block: bytes
    is_text: bool = False  # no HTTP, no markup


@dataclass(frozen=True)
class Defect:
    """A place in the file that could not be read, named by the rule it breaks."""

    offset: int
    rule: str
    detail: str


class Part(NamedTuple):
    """The bytes `start` to `end` of a file, for one task to read.

    `is_exact`: records are known to begin at both. Else they are looked for from the beginning of the file.
    """

    start: int
    end: int
    is_exact: bool = False


@dataclass(frozen=True)
class Columns:
    """What tables of texts call their columns; one of the last two that a file lacks is null in all its rows."""

    url: str = "url"
    text: str = "text"
    date: str = "date"
    id: str = "id"


class NotWarcError(ValueError):
    """A file in which not one record of a crawl could be found."""


class UnreadableError(ValueError):
    """A file that cannot be read as it is, or not with this recipe; a later run tries again."""


def parse_date(text: str) -> datetime | None:
    """An ISO 8601 date in UTC, to the second or finer; None where it is impossible, as ClueWeb09's often are."""
    try:
        date = datetime.fromisoformat(text.strip())
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
