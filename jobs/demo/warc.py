"""Writer and reader of the demo's WARC files."""

import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter


@dataclass(frozen=True)
class Page:
    """An HTML page as its site serves it."""

    url: str
    html: bytes
    modified: datetime


def write_warc(path: Path, pages: Iterable[Page]) -> None:
    """Write one response record per page, atomically.

    The same pages give the same bytes: dates come from the pages, and record ids from URLs and dates.
    """
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for page in pages:
            writer.write_record(_response(writer, page))
    os.replace(part, path)


def read_warc(path: Path) -> Iterator[Page]:
    """Yield the pages of a file that `write_warc` wrote."""
    with path.open("rb") as file:
        for record in ArchiveIterator(file):
            headers = record.rec_headers
            modified = datetime.fromisoformat(headers.get_header("WARC-Date"))
            yield Page(headers.get_header("WARC-Target-URI"), record.content_stream().read(), modified)


def _response(writer: WARCWriter, page: Page) -> object:
    http = StatusAndHeaders(
        "200 OK",
        [("Content-Type", "text/html"), ("Content-Length", str(len(page.html)))],
        protocol="HTTP/1.1",
    )
    date = page.modified.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"{page.url} {date}")
    return writer.create_warc_record(
        page.url,
        "response",
        payload=BytesIO(page.html),
        http_headers=http,
        warc_headers_dict={"WARC-Date": date, "WARC-Record-ID": f"<urn:uuid:{identity}>"},
    )
