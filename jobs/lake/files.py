"""Local files, as distinct from remote ones: the lake's root, crawl files and the seed's files."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from jobs.errors import RecipeError
from schemas.place import local_path as local_path
from transforms.crawl.formats import SUFFIXES


def crawl_files(paths: Sequence[str], seed: Sequence[str] = ()) -> list[str]:
    """List the source files that paths, globs and folders name, as sorted absolute paths.

    A path that exists is a file or a folder; any other is a glob. A folder stands for the files below it that
    have one of `SUFFIXES`, without the files of Delta tables, which may hold deleted rows, and without the files
    that `seed`, the recipe's conversation paths, names.

    Raises:
        RecipeError: no paths are given, some match no file (all are listed), or file names are not UTF-8.
    """
    seed_files = {os.path.abspath(file) for path in seed for file in _files_named(path)}
    sources: set[str] = set()
    empty = []
    for pattern in paths:
        matches = _matches(pattern, recursive=True)
        files = {os.path.abspath(match) for match in matches if not os.path.isdir(match)}
        folders = [Path(match) for match in matches if os.path.isdir(match)]
        files |= {os.path.abspath(file) for folder in folders for file in _files_below(folder)} - seed_files
        if not files:
            empty.append(pattern)
        sources |= files
    if empty or not sources:
        reason = f"no crawl file at {', '.join(empty)}" if empty else "no paths are given"
        raise RecipeError(f"ingest_documents.paths: {reason}; name files, globs or folders of WARC, Parquet or JSONL")
    undecodable = sorted(os.fsencode(file) for file in sources if os.fsencode(file) != file.encode(errors="replace"))
    if undecodable:
        reason = f"the names of {len(undecodable):,} files are not UTF-8, such as {undecodable[0]!r}"
        raise RecipeError(f"ingest_documents.paths: {reason}; rename them")
    return sorted(sources)


def _matches(path: str, *, recursive: bool = False) -> list[str]:
    """Return the local file or folder of exactly this name, whatever characters it has; else the glob's matches."""
    expanded = os.path.expanduser(path)
    exact = next((name for name in (path, expanded) if os.path.lexists(name)), None)
    return [exact] if exact else glob.glob(expanded, recursive=recursive)


def _files_below(folder: Path) -> list[Path]:
    """List what has a format's suffix from a folder down; a table that Spark wrote as a folder gives its files.

    Any other folder with such a suffix is listed too, although it can't be read.
    """
    paths = [folder, *folder.rglob("*")]
    tables = {path.parent for path in paths if path.name == "_delta_log"}
    entries = [f for f in paths if f.name.endswith(SUFFIXES) and tables.isdisjoint((f, *f.parents))]
    parents = {parent for f in entries for parent in f.parents}
    return [f for f in entries if f not in parents]


def conversation_files(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the local seed files that paths, globs and folders name, sorted, and the paths that are remote.

    Raises:
        RecipeError: no paths are given, or some match no local file; the message lists them.
    """
    if not paths:
        raise RecipeError("ingest_conversations.paths is empty: name the seed's JSONL files, plain or .gz")
    remote = [path for path in paths if _absolute_path(path) is None]
    files_of = {path: _files_named(path) for path in paths if path not in remote}
    missing = [path for path, files in files_of.items() if not files]
    if missing:
        raise no_such_conversations(missing, len(paths))
    return sorted({file for files in files_of.values() for file in files}), remote


def _files_named(path: str) -> list[str]:
    """List the files that a local path, glob or folder names; a hidden file counts only by its exact name."""
    absolute = _absolute_path(path)
    matches = [Path(match) for match in _matches(absolute)] if absolute else []
    if [str(match) for match in matches] == [absolute] and matches[0].is_file():
        return [str(matches[0])]
    files = (f for match in matches for f in (sorted(match.iterdir()) if match.is_dir() else [match]))
    return [str(f) for f in files if f.is_file() and not f.name.startswith(("_", "."))]


def _absolute_path(path: str) -> str | None:
    """Return the absolute path of a local file, folder or glob; None if it is remote."""
    if os.path.lexists(path):
        return os.path.abspath(path)
    local = local_path(os.path.expanduser(path))
    return None if local is None else str(local)


def no_such_conversations(missing: Sequence[str], n_paths: int) -> RecipeError:
    """Build the error that lists the paths without files."""
    count = f"{len(missing)} of {n_paths} match no file"
    return RecipeError(f"ingest_conversations.paths: {count}: {', '.join(missing)}; correct them")
