"""A model's folder appears whole or not at all, and two processes never work on one."""

import errno
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model_ops.training.checkpoints import ModelFolderError
from model_ops.training.whole_folder import whole_folder

ROOT = Path(__file__).parents[2]
TRAINS = """
import sys
from pathlib import Path
from model_ops.training.whole_folder import whole_folder
with whole_folder(Path(sys.argv[1])) as folder:
    (folder / "weights").write_text("another's")
    print("at work", flush=True)
    sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def make(out: Path, contents: str) -> None:
    with whole_folder(out) as folder:
        (folder / "weights").write_text(contents)


@contextmanager
def another_process(out: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that has begun to make the folder, and ends when its input is closed."""
    line = [sys.executable, "-c", TRAINS, str(out)]
    with subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "at work\n"
        yield other
        other.communicate()


def test_a_second_process_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "models" / "forward-0"
    with another_process(out) as other:
        since = r"since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\+00:00"
        said = f"{out} is being trained by pid {other.pid} on host {re.escape(socket.gethostname())} {since}; wait"
        with pytest.raises(ModelFolderError, match=said):
            make(out, "mine")
        make(tmp_path / "models" / "backward-0", "of another model")
        assert names(out.parent) == ["backward-0", "forward-0.unfinished", "forward-0.unfinished.lock"]
    assert other.returncode == 0
    assert names(out.parent) == ["backward-0", "forward-0"]
    assert (out / "weights").read_text() == "another's"


@pytest.mark.parametrize("next_one", ["forward-0", "forward-1"])
def test_the_next_training_removes_files_of_a_killed_process(tmp_path: Path, next_one: str) -> None:
    with another_process(tmp_path / "forward-0") as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert names(tmp_path) == ["forward-0.unfinished", "forward-0.unfinished.lock"]
    make(tmp_path / next_one, "mine")
    assert names(tmp_path) == [next_one]
    assert (tmp_path / next_one / "weights").read_text() == "mine"


def test_files_left_by_an_earlier_release_are_removed(tmp_path: Path) -> None:
    (tmp_path / "m.unfinished").mkdir()
    (tmp_path / "m.unfinished" / "weights").touch()
    (tmp_path / "own.lock").touch()
    make(tmp_path / "m", "mine")
    assert names(tmp_path) == ["m", "own.lock"]


def test_a_model_finished_by_another_process_is_kept(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "m") as folder:
        (folder / "weights").write_text("mine")
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "weights").write_text("the twin's")
    assert names(tmp_path) == ["m"]
    assert (tmp_path / "m" / "weights").read_text() == "the twin's"


def test_a_file_at_the_target_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("a file")
    with pytest.raises(NotADirectoryError):
        make(tmp_path / "m", "mine")
    assert names(tmp_path) == ["m"]


@pytest.mark.parametrize(("is_main", "left"), [(True, []), (False, ["m.unfinished"])])
def test_after_a_full_disk_the_main_process_removes_the_files(tmp_path: Path, is_main: bool, left: list[str]) -> None:
    (tmp_path / "m.unfinished").mkdir()

    def save() -> None:
        with whole_folder(tmp_path / "m", is_main=is_main) as folder:
            (folder / "weights").touch()
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        save()
    assert names(tmp_path) == left


def test_a_lock_on_a_removed_file_is_not_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder removes its file between another's open and lock: that one must lock the file that is there now."""
    locks = []

    def lock(handle: int, how: int) -> None:
        locks.append(os.fstat(handle).st_ino)
        if len(locks) == 1:
            (tmp_path / "m.unfinished.lock").rename(tmp_path / "gone")
        if len(locks) > 2:
            raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", lock)
    with whole_folder(tmp_path / "m"):
        assert (tmp_path / "m.unfinished.lock").stat().st_ino == locks[1] != locks[0]


def test_a_file_system_without_locks_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lock(handle: int, how: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", lock)
    (tmp_path / "others.unfinished").mkdir()
    (tmp_path / "others.unfinished.lock").touch()
    make(tmp_path / "m", "mine")
    assert names(tmp_path) == ["m", "others.unfinished", "others.unfinished.lock"]
    assert "m: the file system has no locks; start no second process that makes this model" in caplog.text
