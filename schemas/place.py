"""Resolve the path or URI of a table, and open it with delta-rs."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TypeVar

Opened = TypeVar("Opened")

# Characters that delta-rs 1.6 mishandles in a path, encoded or not: it decodes %2F twice, finds no history below # or
# ?, panics at [, ^ and |, and rejects backslashes and control characters.
MANGLED = re.compile(r"[%#?\[\]^|\\\x00-\x1f\x7f]")
LOG = "_delta_log"


def local_path(uri: str) -> Path | None:
    """Return the local file or folder that a path or URI names; None if it is not local."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", uri)
    if not scheme:
        return Path(uri).absolute()
    return Path("/" + uri[5:].lstrip("/")) if scheme[1] == "file" else None


@contextmanager
def opened(place: str, open: Callable[[str], Opened]) -> Iterator[Opened]:
    """Open the table at a path or URI with `open`, a function of delta-rs, for the duration of the `with` body.

    If delta-rs mangles the path, a temporary folder of links to the entries of the table's folder is opened instead.
    Top-level files that delta-rs deletes are then only links: the files themselves stay.
    """
    folder = local_path(place)
    if folder is None or not MANGLED.search(os.path.realpath(folder)):
        yield open(str(folder or place))
        return
    temp_root = gettempdir()
    with TemporaryDirectory(prefix="humpback-table-", dir="/tmp" if MANGLED.search(temp_root) else temp_root) as links:
        if (folder / LOG).is_dir():
            os.symlink(folder / LOG, f"{links}/{LOG}")
        table = open(links)
        # Only after opening: the files of a version were written before its commit.
        for name in os.listdir(folder) if folder.is_dir() else []:
            if name != LOG:
                os.symlink(folder / name, f"{links}/{name}")
        yield table
