"""SIGTERM, as Kubernetes and spot machines send it: a command ends in order if it can, and soon in any case."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.cli.ending import INTERRUPTED, LIMIT_SECONDS

ROOT = Path(__file__).parent.parent.parent
COMMAND = """
import signal, subprocess, sys, time
from contextlib import contextmanager
from jobs.__main__ import main

@contextmanager
def session():
    child = [sys.executable, "-c", "import time; time.sleep(600)"]
    plain, leader = subprocess.Popen(child), subprocess.Popen(child, start_new_session=True)
    print(plain.pid, leader.pid, flush=True)
    try:
        {body}
        yield
    finally:
        {end}

sys.exit(main(["run", "--recipe", "jobs/recipes/demo.toml", "--lake", "l"], session=session))
"""
SLEEPS = "time.sleep(600)"
BLOCKED = "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); time.sleep(600)"
LIBRARY = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'x', b'y', 2**31 - 1)"
FAILS = "raise ValueError('Java has ended')"


@pytest.fixture
def command() -> Iterator[list[subprocess.Popen[str]]]:
    """A list for the commands that a test starts, which are killed at its end."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start(started: list[subprocess.Popen[str]], body: str, end: str) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a command that has entered its session, and return it with the ids of its two children."""
    words = [sys.executable, "-c", COMMAND.format(body=body, end=end)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    started.append(process)
    assert process.stdout is not None
    children = [int(pid) for pid in process.stdout.readline().split()]
    time.sleep(0.2)  # until it waits
    return process, children


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ended(process: subprocess.Popen[str], children: list[int]) -> tuple[float, str]:
    """Wait for the process and its children to end, and return the process's seconds and its stderr."""
    began = time.monotonic()
    _, said = process.communicate(timeout=60)
    took = time.monotonic() - began
    assert process.returncode == 130
    while any(map(is_running, children)):
        assert time.monotonic() < began + 30, "children are left"
        time.sleep(0.05)
    return took, said


@pytest.mark.parametrize("end", ["pass", FAILS], ids=["in order", "an error meanwhile"])
def test_sigterm_ends_in_order(command: list[subprocess.Popen[str]], end: str) -> None:
    process, children = start(command, SLEEPS, end)
    process.terminate()
    took, said = ended(process, children)
    assert took < LIMIT_SECONDS + 1
    assert said == INTERRUPTED


@pytest.mark.parametrize("end", [SLEEPS, BLOCKED], ids=["slow", "deaf"])
def test_a_slow_termination_is_cut_short(command: list[subprocess.Popen[str]], end: str) -> None:
    process, children = start(command, SLEEPS, end)
    process.terminate()
    took, said = ended(process, children)
    assert LIMIT_SECONDS - 1 < took < LIMIT_SECONDS + 1
    assert said == INTERRUPTED


def test_a_second_sigterm_ends_at_once(command: list[subprocess.Popen[str]]) -> None:
    process, children = start(command, SLEEPS, SLEEPS)
    process.terminate()
    time.sleep(0.5)
    process.terminate()
    took, said = ended(process, children)
    assert took < 1
    assert said == INTERRUPTED


def test_a_blocked_main_thread_does_not_delay_the_termination(command: list[subprocess.Popen[str]]) -> None:
    process, children = start(command, LIBRARY, "pass")
    process.terminate()
    took, _ = ended(process, children)
    assert LIMIT_SECONDS - 1 < took < LIMIT_SECONDS + 1


def test_ctrl_c_ends_in_order(command: list[subprocess.Popen[str]]) -> None:
    process, _ = start(command, SLEEPS, "plain.kill(); leader.kill()")
    process.send_signal(signal.SIGINT)
    assert ended(process, [])[1] == INTERRUPTED


def test_signal_handlers_are_restored() -> None:
    code = "import signal; from jobs.__main__ import main; main(['audit', '--lake', '/nonexistent']); "
    code += "print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, signal.set_wakeup_fd(-1))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True -1"
