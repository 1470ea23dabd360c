"""Creation of a model's folder: it appears complete or not at all, and one process at a time works on it."""

import errno
import fcntl
import logging
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from model_ops.training.checkpoints import ModelFolderError

UNFINISHED, LOCK = ".unfinished", ".unfinished.lock"
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)  # a network file system mounted without locks

log = logging.getLogger(__name__)


@contextmanager
def whole_folder(out: Path, *, is_main: bool = True, verb: str = "trained") -> Iterator[Path]:
    """Yield a temporary folder that is renamed to `out` when the body ends, and removed if it raises.

    With several processes, only the main one makes, renames and removes it. If `out` exists by then,
    it stays, and the new folder is removed. `verb` is used in the error message.

    Raises:
        ModelFolderError: another process works on this folder; names that process.
    """
    unfinished = out.with_name(f"{out.name}{UNFINISHED}")
    if not is_main:
        yield unfinished
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(out, verb):
        _clear_abandoned(out.parent)
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            yield unfinished
            try:
                unfinished.rename(out)
            except OSError:
                if not out.is_dir():
                    raise
                log.info("%s: another process has finished it first", out)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def _exclusive(out: Path, verb: str) -> Iterator[None]:
    """Hold the lock of a folder; Linux releases it when the process dies."""
    file = out.with_name(f"{out.name}{LOCK}")
    try:
        lock = _locked(file)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        log.warning("%s: the file system has no locks; start no second process that makes this model", out)
        file.unlink(missing_ok=True)
        yield
        return
    if lock is None:
        who = file.read_text(errors="replace")[:200] if file.is_file() else ""
        advice = "wait until that ends, or stop it, and run this again"
        raise ModelFolderError(f"{out} is being {verb} by {who or 'another process'}; {advice}")
    try:
        now = datetime.now(UTC).isoformat(" ", "seconds")
        os.write(lock, f"pid {os.getpid()} on host {socket.gethostname()} since {now}".encode())
        yield
    finally:
        file.unlink(missing_ok=True)
        os.close(lock)


def _locked(file: Path) -> int | None:
    """Lock and empty a lock file, and return its handle; None if another process holds it.

    Raises:
        OSError: the file cannot be opened or locked, e.g. with an `errno` in NO_LOCKS.
    """
    while True:
        lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if file.exists() and os.path.samestat(os.fstat(lock), file.stat()):
                os.truncate(lock, 0)
                return lock
            os.close(lock)  # the holder has removed this file meanwhile
        except BlockingIOError:
            os.close(lock)
            return None
        except OSError:
            os.close(lock)
            raise


def _clear_abandoned(folder: Path) -> None:
    """Remove the unfinished folders of processes that were killed."""
    for file in folder.glob(f"*{LOCK}"):
        with suppress(OSError):  # e.g. another user's file; then its folder stays too
            lock = _locked(file)  # None for the folder that this process works on
            if lock is not None:
                shutil.rmtree(file.with_suffix(""), ignore_errors=True)
                file.unlink(missing_ok=True)
                os.close(lock)
