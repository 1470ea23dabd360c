"""Conversion of documentation packages to WARC files under the public URLs of their pages."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Protocol

from jobs.demo.packages import Package, files_of
from jobs.demo.sources import PYTHON_PACKAGE, SEED_URL_PREFIXES, SOURCES, Source, python_source
from jobs.demo.warc import Page, write_warc
from jobs.errors import JobError

Entry = dict[str, Any]
Say = Callable[[str], None]


class Packages(Protocol):
    """A source of packages."""

    def names(self, pattern: str) -> list[str]:
        """List the available names that match `pattern`, the newest version last."""

    def obtain(self, name: str) -> tuple[Package, Path] | None:
        """Return a package and its file, or None if it is not available."""


def write_corpus(out: Path, open_archive: Callable[[], Packages], say: Say) -> None:
    """Write `out`/PACKAGE.warc.gz for each source that has none yet, and `out`/sources.json.

    Args:
        out: the corpus' folder.
        open_archive: not called if every source has been written before.
        say: receives each line of progress.

    Raises:
        JobError: no package is available, or one is damaged.
    """
    out.mkdir(parents=True, exist_ok=True)
    done = {entry["package"]: entry for entry in sources_of(out) if (out / entry["warc"]).exists()}
    has_python = any(re.fullmatch(PYTHON_PACKAGE, name) for name in done)
    missing = [source for source in SOURCES if source.package not in done]
    if missing or not has_python:
        archive = open_archive()
        if not has_python:
            missing += map(python_source, archive.names(PYTHON_PACKAGE)[-1:])
        say(f"reading {len(missing)} documentation packages; apt-get downloads those not cached, some 110 MB in all")
        for source in missing:
            if new_entry := _write_source(out, source, archive, say):
                done[source.package] = new_entry
                _write_json(out / "sources.json", list(done.values()))
    if not done:
        names = ", ".join(source.package for source in SOURCES)
        raise JobError(f"apt offers none of {names}; check the network and that apt's sources have Debian's main")
    say(f"{sum(entry['documents'] for entry in done.values()):,} pages of {len(done)} packages in {out}")


def sources_of(out: Path) -> list[Entry]:
    """Read the list of packages that the corpus in `out` was made from."""
    file = out / "sources.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []


def _write_source(out: Path, source: Source, archive: Packages, say: Say) -> Entry | None:
    download = archive.obtain(source.package)
    if download is None:
        say(f"{source.package}: apt does not offer it here, skipped")
        return None
    package, file = download
    warc = f"{source.package}.warc.gz"
    pages = pages_of(source, files_of(file, source.root))
    if not pages:
        say(f"{source.package} {package.version}: no pages below {source.root}, skipped")
        return None
    write_warc(out / warc, pages)
    say(f"{source.package} {package.version}: {len(pages)} pages")
    return {
        "package": package.name,
        "version": package.version,
        "sha256": package.sha256,
        "licence": source.licence,
        "url": source.url,
        "warc": warc,
        "documents": len(pages),
    }


def pages_of(source: Source, files: Iterable[tuple[str, bytes, datetime]]) -> list[Page]:
    """Select the pages among a package's files, at most `source.limit` of them, in order of their URLs."""
    old, new = source.renamed
    pages = [
        Page(source.url + path.removesuffix(old) + new, content, modified)
        for path, content, modified in files
        if content and any(fnmatch(path, pattern) for pattern in source.pages)
    ]
    pages.sort(key=lambda page: (not page.url.startswith(SEED_URL_PREFIXES), _hash(page.url)))
    return sorted(pages[: source.limit], key=lambda page: page.url)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write_json(file: Path, value: object) -> None:
    part = file.with_name(file.name + ".part")
    part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(part, file)
