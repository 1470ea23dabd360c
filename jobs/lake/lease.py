"""Leases that let only one run of an experiment work at a time; the owner renews its lease until it ends.

A lease is a small file, `_leases/<experiment>/<loop_id>.json` below the lake's root. A run first writes its
lease and then looks for others, so of two runs that start together at least one sees the other. Exclusion
depends on the hosts' clocks only through a lease's expiry; they may differ by a minute.
"""

import json
import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.errors import WaitingError
from jobs.lake import jvm
from jobs.lake.files import local_path
from jobs.lake.process import Process, this_process

log = logging.getLogger(__name__)

FOLDER = "_leases"
LIFETIME_SECONDS = 120.0  # a dead host blocks other runs for this long at most
RENEW_SECONDS = 20.0
READ_TRIES = 10  # of a lease that is empty, until its writer is taken for dead
ACQUIRE_TRIES = 3  # two runs that start at the same moment may each see the other and withdraw


@dataclass(frozen=True)
class Lease(Process):
    """The process that runs an experiment, and the time until which no other may; times in seconds since 1970."""

    loop_id: str
    since: float
    expires: float

    def is_alive(self) -> bool:
        """Return whether the owner still runs; by the lease's expiry where its process cannot be seen."""
        is_running = self.runs()
        return time.time() < self.expires if is_running is None else is_running


class Holding:
    """A lease that this process holds, and the leases that dead owners left."""

    def __init__(self, folder: "_Folder", lease: Lease, dead: list[Lease]) -> None:
        """`dead` are the leases of runs that ended without giving them back."""
        self.lease, self.dead = lease, dead
        self._folder, self._ended = folder, threading.Event()
        self._renewed = time.monotonic()

    def require(self) -> None:
        """Refuse to commit if the lease may have expired and another run may have begun.

        Raises:
            WaitingError: the lease was not renewed in time.
        """
        if time.monotonic() - self._renewed > LIFETIME_SECONDS:
            raise WaitingError(
                f"the lease of this run in {self._folder} could not be renewed for {LIFETIME_SECONDS:.0f} s, and "
                "another run may have begun; nothing was committed since; run the same command again"
            )

    def forget(self, dead: Lease) -> None:
        """Remove a dead owner's lease, once its runs have been recorded."""
        self._folder.delete(dead.loop_id)

    def renew(self) -> None:
        """Renew the lease every `RENEW_SECONDS` seconds until it is given back."""
        while not self._ended.wait(RENEW_SECONDS):
            try:
                self._folder.put(replace(self.lease, expires=time.time() + LIFETIME_SECONDS))
                self._renewed = time.monotonic()
            except Exception as error:  # a store's client may raise any exception
                log.warning("the lease in %s could not be renewed: %s", self._folder, error)

    def give_back(self) -> None:
        """Delete the lease, so that the next run can begin."""
        self._ended.set()
        self._folder.delete(self.lease.loop_id)


@contextmanager
def held(spark: SparkSession, root: str, experiment: str, loop_id: str) -> Iterator[Holding]:
    """Hold the lease of an experiment while the body runs.

    Raises:
        WaitingError: another run holds it; the message names its process and the lease's expiry.
    """
    folder = _Folder(spark, root, experiment)
    holding = _acquired(folder, experiment, loop_id)
    renewing = threading.Thread(target=holding.renew, name="lease", daemon=True)
    renewing.start()
    try:
        yield holding
    finally:
        holding.give_back()
        renewing.join(LIFETIME_SECONDS)


def _acquired(folder: "_Folder", experiment: str, loop_id: str) -> Holding:
    now = time.time()
    own = Lease(**asdict(this_process()), loop_id=loop_id, since=now, expires=now + LIFETIME_SECONDS)
    for tries_left in reversed(range(ACQUIRE_TRIES)):
        folder.put(own)
        others = [lease for lease in folder.leases() if lease.loop_id != loop_id]
        alive = [lease for lease in others if lease.is_alive()]
        if not alive:
            return Holding(folder, own, others)
        folder.delete(loop_id)
        if not tries_left or alive[0].since < now - 1:
            raise _refusal(experiment, alive[0])
        time.sleep(random.uniform(0.1, 1))
    raise AssertionError("the last try returns or raises")


def _refusal(experiment: str, owner: Lease) -> WaitingError:
    since, expires = (
        datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S") for seconds in (owner.since, owner.expires)
    )
    return WaitingError(
        f"experiment {experiment}: process {owner.pid} on {owner.host} has been running it since {since} UTC; two runs "
        f"of one experiment at once would pay for the same answers twice; wait until it ends, or end it (its lease "
        f"ends at {expires} UTC unless it is renewed)"
    )


class _Folder:
    """The folder of an experiment's leases, on this machine or in the lake's store."""

    def __init__(self, spark: SparkSession, root: str, experiment: str) -> None:
        self._spark = spark
        local = local_path(root)
        self._local = local / FOLDER / experiment if local else None
        self._place = str(self._local) if self._local else f"{root.rstrip('/')}/{FOLDER}/{experiment}"

    def __str__(self) -> str:
        return self._place

    def put(self, lease: Lease) -> None:
        """Write a lease; a local file is replaced atomically."""
        text = json.dumps(asdict(lease))
        if self._local is None:
            jvm.put_text(self._spark, f"{self._place}/{lease.loop_id}.json", text)
            return
        self._local.mkdir(parents=True, exist_ok=True)
        new = self._local / f"{lease.loop_id}.new"
        new.write_text(text)
        new.replace(self._local / f"{lease.loop_id}.json")

    def leases(self) -> list[Lease]:
        """Read all leases of the experiment."""
        for _ in range(READ_TRIES):
            texts = self._texts()
            if all(texts):
                break
            time.sleep(0.5)  # HDFS shows a file as empty while it is being written
        return [Lease(**json.loads(text)) for text in texts if text]

    def _texts(self) -> list[str]:
        if self._local is None:
            return jvm.texts_in(self._spark, self._place, ".json")
        return [text for path in sorted(self._local.glob("*.json")) if (text := _text(path)) is not None]

    def delete(self, loop_id: str) -> None:
        """Remove a lease, if it is there."""
        if self._local is None:
            jvm.remove(self._spark, f"{self._place}/{loop_id}.json")
        else:
            (self._local / f"{loop_id}.json").unlink(missing_ok=True)


def _text(path: Path) -> str | None:
    """Read a file; None if it has just been removed."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
