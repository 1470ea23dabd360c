"""The end that SIGTERM asks for: in order within a few seconds, at once after that or at a second signal."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

STDERR = 2
EXIT_CODE = 130
LIMIT_SECONDS = 4.5  # of the 5 that are promised; Kubernetes gives 30, and a spot machine may give fewer
SAID = "humpback: interrupted; what was committed stays, run the same command to go on\n"


class Ending:
    """Whether SIGTERM has come, and how a command ends after it."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.asked = False
        self.has_said = False

    def ask(self, signum: int, frame: FrameType | None) -> None:
        """Handle SIGTERM: end as Ctrl-C does. The watchdog looks after a second one."""
        if not self.asked:
            self.asked = True
            # py4j tells of connections, which break as Java ends; also by the root logger itself, as nobody else does.
            logging.getLogger("py4j").setLevel(logging.CRITICAL + 1)
            logging.getLogger().addFilter(lambda record: False)
            raise KeyboardInterrupt

    def done(self) -> int:
        """Say that the command was interrupted; its exit code. After SIGTERM no child process stays."""
        self.has_said = True  # first: the watchdog's time may be up while this is written
        sys.stderr.write(SAID)
        if self.asked:
            end_children()
        return EXIT_CODE


@contextmanager
def ending_in_time() -> Iterator[Ending]:
    """Make SIGTERM a KeyboardInterrupt of the main thread, which calls this, and end the process if that takes long."""
    ending = Ending()
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    # Python's handlers wait for the main thread, which may be within a library; the watchdog does not.
    before = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    handler = signal.signal(signal.SIGTERM, ending.ask)
    threading.Thread(target=_watch, args=(ear, ending), name="watchdog", daemon=True).start()
    yield ending
    if not ending.asked:  # else the watchdog stays until the process has ended
        signal.signal(signal.SIGTERM, handler)
        signal.set_wakeup_fd(before)
        mouth.close()


def _watch(ear: socket.socket, ending: Ending) -> None:
    """Wait for SIGTERM, then for another one or for the time to be up."""
    with ear:
        if not _heard(ear):
            return
        ear.settimeout(LIMIT_SECONDS)
        with suppress(TimeoutError):
            _heard(ear)
    if not ending.has_said:
        os.write(STDERR, SAID.encode())
    end_children()
    os._exit(EXIT_CODE)


def _heard(ear: socket.socket) -> bool:
    """Wait for SIGTERM among the signals whose numbers arrive; False at their end."""
    while number := ear.recv(1):
        if number[0] == signal.SIGTERM:
            return True
    return False


def end_children() -> None:
    """End this process's children: leaders of a group (our servers) with it by SIGKILL, others (Java) by SIGTERM.

    Java deletes the session's files, which may be gigabytes, before it ends.
    """
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread or a child may have ended meanwhile
            for child in map(int, (task / "children").read_text().split()):
                if os.getpgid(child) == child:
                    os.killpg(child, signal.SIGKILL)
                else:
                    os.kill(child, signal.SIGTERM)
