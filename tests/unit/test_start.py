"""Starts on one machine: this user's folder, and one at a time while jars are resolved."""

import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.errors import JobError
from jobs.lake.start import cache_folder, start_lock

HOLDER = """
import sys
from pathlib import Path
from jobs.lake.start import start_lock
with start_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which holds the lock until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.communicate()


def test_a_waiting_start_names_the_holder_and_times_out(
    tmp_path: Path, holder: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jobs")
    said = rf"waited 1 s for pid {holder.pid} on .* \(.*/start.lock is locked\); end that process and try again"
    with pytest.raises(JobError, match=said), start_lock(tmp_path, limit=1):
        pass
    [waiting] = caplog.messages
    who = f"pid {holder.pid} on {socket.gethostname()}"
    assert waiting.startswith(f"waiting for {who}, which has been resolving Spark's jars since ")
    holder.communicate()
    with start_lock(tmp_path, limit=1):
        assert (tmp_path / "start.lock").stat().st_mode & 0o777 == 0o600


def test_a_killed_holder_releases_the_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    with start_lock(tmp_path, limit=10):
        pass


def test_an_unavailable_lock_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "start.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JobError, match="set XDG_CACHE_HOME to a folder on a local disk"), start_lock(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_the_cache_folder_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for told, parent in (("", tmp_path / ".cache"), ("relative", tmp_path / ".cache"), (str(tmp_path), tmp_path)):
        monkeypatch.setenv("XDG_CACHE_HOME", told)
        assert cache_folder() == parent / "humpback"
        (parent / "humpback").chmod(0o755)
        assert cache_folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("told", ["", "/dev/null", "/proc/1"])
def test_without_a_cache_folder_the_error_names_xdg_cache_home(
    told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "missing"))
    monkeypatch.setenv("XDG_CACHE_HOME", told)
    with pytest.raises(JobError, match="set XDG_CACHE_HOME to a folder that this user can write"):
        cache_folder()
    assert not (tmp_path / "missing").exists(), "it is no business of the superuser's"
