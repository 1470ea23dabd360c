"""Where a table lies: on this machine or elsewhere, and how delta-rs is told of it."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TypeVar

Opened = TypeVar("Opened")

# What delta-rs 1.6 cannot have in a path, encoded or not: it decodes %2F twice, finds no history below # or ?, panics
# at [, ^ and |, and takes no backslash or control character.
MANGLED = re.compile(r"[%#?\[\]^|\\\x00-\x1f\x7f]")
LOG = "_delta_log"


def local_path(uri: str) -> Path | None:
    """The file or folder of this machine that a path or URI names, or None where it is elsewhere."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", uri)
    if not scheme:
        return Path(uri).absolute()
    return Path("/" + uri[5:].lstrip("/")) if scheme[1] == "file" else None


@contextmanager
def opened(place: str, open: Callable[[str], Opened]) -> Iterator[Opened]:
    """What delta-rs opens, by `open`, at a table's path or URI; it can be read until the body ends.

    A folder with a path that delta-rs mangles is opened as one of links to what lies in it. Files that delta-rs
    deletes at its top are such links: the files themselves stay.
    """
    folder = local_path(place)
    if folder is None or not MANGLED.search(os.path.realpath(folder)):
        yield open(str(folder or place))
        return
    above = gettempdir()
    with TemporaryDirectory(prefix="humpback-table-", dir="/tmp" if MANGLED.search(above) else above) as links:
        if (folder / LOG).is_dir():
            os.symlink(folder / LOG, f"{links}/{LOG}")
        found = open(links)
        # Only now: what a version refers to was written before its commit.
        for name in os.listdir(folder) if folder.is_dir() else []:
            if name != LOG:
                os.symlink(folder / name, f"{links}/{name}")
        yield found
