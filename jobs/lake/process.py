"""The process that left something in a lake, and whether it still runs."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process of this or another machine."""

    host: str
    machine: str
    """The boot and the process namespace: within it a `pid` says whether the process is alive."""
    pid: int
    started: str
    """When the process started, as the kernel counts: a process number is used again."""

    def runs(self) -> bool | None:
        """Whether it still runs; None where that can't be seen from here."""
        return _start(self.pid) == self.started if self.machine == _machine() else None


def this_process() -> Process:
    """The process that calls."""
    return Process(socket.gethostname(), _machine(), os.getpid(), _start(os.getpid()))


def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{os.readlink('/proc/self/ns/pid')}"


def _start(pid: int) -> str:
    """When a process started, in the kernel's ticks; empty where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return ""
    return stat.rpartition(")")[2].split()[19]
