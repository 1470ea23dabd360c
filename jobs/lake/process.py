"""Identity of a process that leaves files in a lake, and the check whether it still runs."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process of this or another machine."""

    host: str
    machine: str
    """Boot id and PID namespace; a `pid` has a meaning only within them."""
    pid: int
    started: str
    """Start time in kernel ticks; it tells apart processes that had the same `pid`."""

    def runs(self) -> bool | None:
        """Return whether the process still runs; None if that cannot be seen from this machine."""
        return _start_time(self.pid) == self.started if self.machine == _machine() else None


def this_process() -> Process:
    """Return the identity of the calling process."""
    return Process(socket.gethostname(), _machine(), os.getpid(), _start_time(os.getpid()))


def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{os.readlink('/proc/self/ns/pid')}"


def _start_time(pid: int) -> str:
    """Return a process's start time in kernel ticks; empty if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return ""
    return stat.rpartition(")")[2].split()[19]
