"""The user's cache folder, and a lock in it that lets one process at a time resolve Spark's jars."""

import fcntl
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

from jobs.errors import JobError

LOCK_SECONDS = 300.0  # a first download of the jars takes seconds; on a slow line, minutes
LOOK_SECONDS = 0.2

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Create this user's private folder, `$XDG_CACHE_HOME/humpback` or `~/.cache/humpback`, if need be; return it.

    Raises:
        JobError: it can't be created, or it belongs to another user.
    """
    configured = os.environ.get("XDG_CACHE_HOME", "")
    try:
        # The home folder must exist; the superuser's mkdir would create it.
        parent = Path(configured) if os.path.isabs(configured) else Path.home().resolve(strict=True) / ".cache"
        folder = parent / "humpback"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to another user")
        folder.chmod(0o700)
    except (OSError, RuntimeError) as error:  # RuntimeError: this user has no home folder
        raise JobError(
            f"there is no cache folder for humpback ({error}); set XDG_CACHE_HOME to a folder that this user can write"
        ) from error
    return folder


@contextmanager
def start_lock(folder: Path, limit: float = LOCK_SECONDS) -> Iterator[None]:
    """Admit one process at a time; two that download the same jars into one cache corrupt each other's files.

    Raises:
        JobError: another process has held the lock for more than `limit` seconds.
    """
    with _opened(folder / "start.lock") as lock:
        _acquire(lock, limit)
        lock.truncate(0)
        owner = f"pid {os.getpid()} on {socket.gethostname()}"
        lock.write(f"{owner}, which has been resolving Spark's jars since {datetime.now():%H:%M:%S}")
        lock.flush()
        yield


def _opened(path: Path) -> IO[str]:
    try:
        return open(path, "a+", opener=_open_private)
    except OSError as error:
        raise _cannot_lock(error) from error


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, mode=0o600)


def _acquire(lock: IO[str], limit: float) -> None:
    """Lock the file; while another process holds it, log that once and try again every `LOOK_SECONDS`."""
    deadline, is_logged = time.monotonic() + limit, False
    while not _try_lock(lock):
        lock.seek(0)
        holder = lock.read() or "another process, which is starting Spark"
        if time.monotonic() > deadline:
            raise JobError(f"waited {limit:.0f} s for {holder} ({lock.name} is locked); end that process and try again")
        if not is_logged:
            log.info("waiting for %s", holder)
            is_logged = True
        time.sleep(LOOK_SECONDS)


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # such as a network disk without locks
        raise _cannot_lock(error) from error
    return True


def _cannot_lock(error: OSError) -> JobError:
    return JobError(f"no lock for the start of Spark ({error}); set XDG_CACHE_HOME to a folder on a local disk")
