"""Files of this machine, and how they are told from those elsewhere: the lake's root, crawl files, the seed's files."""

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

from jobs.errors import RecipeError
from transforms.crawl.formats import SUFFIXES


def local_path(uri: str) -> Path | None:
    """The file or folder of this machine that a path or URI names, or None where it is elsewhere."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", uri)
    if not scheme:
        return Path(uri).absolute()
    return Path("/" + uri[5:].lstrip("/")) if scheme[1] == "file" else None


def crawl_files(paths: Sequence[str]) -> list[str]:
    """The source files that paths, globs and folders (all `SUFFIXES` below) name, absolute and sorted.

    Raises:
        RecipeError: there are no paths, or some name no file; lists them.
    """
    found: set[str] = set()
    empty = []
    for pattern in paths:
        matches = glob.glob(os.path.expanduser(pattern), recursive=True)
        files = [str(f) for m in matches for f in (_below(Path(m)) if os.path.isdir(m) else [m])]
        if not files:
            empty.append(pattern)
        found.update(os.path.abspath(f) for f in files)
    if empty or not found:
        what = f"no source file at {', '.join(empty)}" if empty else "no paths are given"
        raise RecipeError(f"ingest_documents.paths: {what}; name files, globs or folders of WARC, Parquet or JSONL")
    return sorted(found)


def _below(folder: Path) -> list[Path]:
    """What has a format's suffix, from a folder down; of a table that Spark wrote as a folder the files in it.

    Another folder with such a name is listed, for it can't be read.
    """
    found = [f for f in (folder, *folder.rglob("*")) if f.name.endswith(SUFFIXES)]
    holders = {parent for f in found for parent in f.parents}
    return [f for f in found if f not in holders]


def conversation_files(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """The seed's files that paths, globs and folders of this machine name, sorted; and the paths that are elsewhere.

    Raises:
        RecipeError: there are no paths, or some match no file here; lists them.
    """
    found: set[str] = set()
    elsewhere, missing = [], []
    for path in paths:
        place = local_path(os.path.expanduser(path))
        if place is None:
            elsewhere.append(path)
            continue
        matches = map(Path, glob.glob(str(place)))
        files = [str(f) for m in matches for f in (_visible(m) if m.is_dir() else [m])]
        if not files:
            missing.append(path)
        found.update(files)
    if not paths:
        raise RecipeError("ingest_conversations.paths is empty: name the seed's JSONL files, plain or .gz")
    if missing:
        raise no_such_conversations(missing, len(paths))
    return sorted(found), elsewhere


def no_such_conversations(missing: Sequence[str], n_paths: int) -> RecipeError:
    """The error that names the paths without files."""
    found = f"{len(missing)} of {n_paths} match no file"
    return RecipeError(f"ingest_conversations.paths: {found}: {', '.join(missing)}; correct them")


def _visible(folder: Path) -> list[Path]:
    """A folder's files, but for those that Spark takes for hidden."""
    return [file for file in folder.iterdir() if file.is_file() and not file.name.startswith(("_", "."))]
