"""Termination at SIGTERM: in order within a few seconds, at once after that or at a second signal."""

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
INTERRUPTED = "humpback: interrupted; committed work is kept, run the same command again to continue\n"


class Ending:
    """The state of a command's termination by Ctrl-C or SIGTERM."""

    def __init__(self) -> None:
        """Start with no signal received."""
        self.signalled = False
        self.has_printed = False

    def handle_signal(self, signum: int, frame: FrameType | None) -> None:
        """Handle the first SIGTERM as Ctrl-C; the watchdog handles a second one."""
        if not self.signalled:
            self.signalled = True
            # py4j logs connections that break as Java ends, also through the root logger, which nothing else uses.
            logging.getLogger("py4j").setLevel(logging.CRITICAL + 1)
            logging.getLogger().addFilter(lambda record: False)
            raise KeyboardInterrupt

    def finish(self) -> int:
        """Print that the command was interrupted, end all children after SIGTERM, and return the exit code."""
        self.has_printed = True  # first, since the watchdog's time may be up during the write
        sys.stderr.write(INTERRUPTED)
        if self.signalled:
            end_children()
        return EXIT_CODE


@contextmanager
def ending_in_time() -> Iterator[Ending]:
    """Raise KeyboardInterrupt in the calling main thread at SIGTERM; end the process if it outlasts `LIMIT_SECONDS`."""
    ending = Ending()
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    # Python's handlers wait for the main thread, which may be inside a library; the watchdog does not.
    previous_fd = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    previous_handler = signal.signal(signal.SIGTERM, ending.handle_signal)
    threading.Thread(target=_watch, args=(receiver, ending), name="watchdog", daemon=True).start()
    yield ending
    if not ending.signalled:  # else the watchdog runs until the process has ended
        signal.signal(signal.SIGTERM, previous_handler)
        signal.set_wakeup_fd(previous_fd)
        sender.close()


def _watch(receiver: socket.socket, ending: Ending) -> None:
    """Wait for SIGTERM, then for a second one or for `LIMIT_SECONDS`, and end the process."""
    with receiver:
        if not _wait_for_sigterm(receiver):
            return
        receiver.settimeout(LIMIT_SECONDS)
        with suppress(TimeoutError):
            _wait_for_sigterm(receiver)
    if not ending.has_printed:
        os.write(STDERR, INTERRUPTED.encode())
    end_children()
    os._exit(EXIT_CODE)


def _wait_for_sigterm(receiver: socket.socket) -> bool:
    """Wait for SIGTERM among the signal numbers that arrive; return False if the socket closes first."""
    while signal_number := receiver.recv(1):
        if signal_number[0] == signal.SIGTERM:
            return True
    return False


def end_children() -> None:
    """End this process's children: group leaders (our servers) and their groups by SIGKILL, others (Java) by SIGTERM.

    Java deletes the session's files, which may be gigabytes, before it ends.
    """
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread or a child may have ended meanwhile
            for child in map(int, (thread / "children").read_text().split()):
                if os.getpgid(child) == child:
                    os.killpg(child, signal.SIGKILL)
                else:
                    os.kill(child, signal.SIGTERM)
