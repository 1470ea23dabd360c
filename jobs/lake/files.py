"""Files of this machine, and how they are told from those elsewhere: the lake's root, crawl files, the seed's files."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from jobs.errors import RecipeError
from schemas.place import local_path as local_path
from transforms.crawl.formats import SUFFIXES


def crawl_files(paths: Sequence[str], seed: Sequence[str] = ()) -> list[str]:
    """The source files that paths, globs and folders (all `SUFFIXES` below) name, absolute and sorted.

    A path that exists is that file or folder, and else a pattern.
    Of folders the files of Delta tables are left out, for they hold rows that are deleted, and those that
    `seed`, the recipe's paths of conversations, names.

    Raises:
        RecipeError: there are no paths, or some name no file; lists them.
    """
    not_meant = {os.path.abspath(file) for path in seed for file in _named(path)}
    found: set[str] = set()
    empty = []
    for pattern in paths:
        matches = _matches(pattern, recursive=True)
        files = {os.path.abspath(m) for m in matches if not os.path.isdir(m)}
        files |= {os.path.abspath(f) for m in matches if os.path.isdir(m) for f in _below(Path(m))} - not_meant
        if not files:
            empty.append(pattern)
        found |= files
    if empty or not found:
        what = f"no source file at {', '.join(empty)}" if empty else "no paths are given"
        raise RecipeError(f"ingest_documents.paths: {what}; name files, globs or folders of WARC, Parquet or JSONL")
    unnamed = sorted(os.fsencode(file) for file in found if os.fsencode(file) != file.encode(errors="replace"))
    if unnamed:
        what = f"the names of {len(unnamed):,} files are not UTF-8, such as {unnamed[0]!r}"
        raise RecipeError(f"ingest_documents.paths: {what}; rename them")
    return sorted(found)


def _matches(path: str, *, recursive: bool = False) -> list[str]:
    """The file or folder of this machine of that very name, whatever characters it has; else what it matches."""
    expanded = os.path.expanduser(path)
    literal = next((name for name in (path, expanded) if os.path.lexists(name)), None)
    return [literal] if literal else glob.glob(expanded, recursive=recursive)


def _below(folder: Path) -> list[Path]:
    """What has a format's suffix, from a folder down; of a table that Spark wrote as a folder the files in it.

    Another folder with such a name is listed, for it can't be read.
    """
    everything = [folder, *folder.rglob("*")]
    tables = {path.parent for path in everything if path.name == "_delta_log"}
    found = [f for f in everything if f.name.endswith(SUFFIXES) and tables.isdisjoint((f, *f.parents))]
    holders = {parent for f in found for parent in f.parents}
    return [f for f in found if f not in holders]


def conversation_files(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """The seed's files that paths, globs and folders of this machine name, sorted; and the paths that are elsewhere.

    Raises:
        RecipeError: there are no paths, or some match no file here; lists them.
    """
    if not paths:
        raise RecipeError("ingest_conversations.paths is empty: name the seed's JSONL files, plain or .gz")
    elsewhere = [path for path in paths if _place(path) is None]
    named = {path: _named(path) for path in paths if path not in elsewhere}
    missing = [path for path, files in named.items() if not files]
    if missing:
        raise no_such_conversations(missing, len(paths))
    return sorted({file for files in named.values() for file in files}), elsewhere


def _named(path: str) -> list[str]:
    """The files that a path, glob or folder of this machine names; of several not the hidden ones."""
    place = _place(path)
    matches = [Path(match) for match in _matches(place)] if place else []
    if [str(match) for match in matches] == [place] and matches[0].is_file():
        return [str(matches[0])]
    files = (f for match in matches for f in (sorted(match.iterdir()) if match.is_dir() else [match]))
    return [str(f) for f in files if f.is_file() and not f.name.startswith(("_", "."))]


def _place(path: str) -> str | None:
    """The absolute path of a file, folder or pattern of this machine; None where it is elsewhere."""
    if os.path.lexists(path):
        return os.path.abspath(path)
    place = local_path(os.path.expanduser(path))
    return None if place is None else str(place)


def no_such_conversations(missing: Sequence[str], n_paths: int) -> RecipeError:
    """The error that names the paths without files."""
    found = f"{len(missing)} of {n_paths} match no file"
    return RecipeError(f"ingest_conversations.paths: {found}: {', '.join(missing)}; correct them")
