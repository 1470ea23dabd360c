"""The record of one execution of a job: its identity, the versions that it read, and its row counts."""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version

from jobs.recipe.config import Direction
from schemas.table import Table

CODE_VERSION = version("humpback")
LOOP = "run"  # the job name in the row of a whole loop
KILLED = "killed"  # status of a killed run, whose row a later run writes


@dataclass(frozen=True)
class Entry:
    """`n` inputs of a run with the same outcome: a broken rule, else a drop reason, else output."""

    n: int
    rule: str | None = None
    drop_reason: str | None = None


def require_nothing() -> None:
    """Accept every commit; the check of a run that needs no lease."""


@dataclass
class Run:
    """One execution of a job or of a whole loop, recorded as a row of `ops.runs` and in its commits' metadata."""

    job: str
    experiment: str
    recipe_digest: str
    writes: Table
    unit: str = "rows"
    iteration: int | None = None
    direction: Direction | None = None
    loop_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    n_in: int = 0
    n_out: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    inputs: dict[str, int] = field(default_factory=dict)
    methods: dict[str, str] = field(default_factory=dict)
    """Name of a table, scorer or model -> the method digest or model id whose rows counted."""
    bookmarks: dict[str, int] = field(default_factory=dict)
    """Digest of a method -> its progress, from which a later run resumes."""
    version: int | None = None
    commits: Counter[str] = field(default_factory=Counter)
    """Table -> number of commits, without the table's creation."""
    state_digest: str | None = None
    n_calls: int = 0
    n_failed: int = 0
    """Calls that failed or that a server refused, whether or not a later call was answered."""
    n_tokens: int = 0
    prefix_tokens: int = 0
    prefix_hits: int = 0
    seconds: float | None = None
    require_lease: Callable[[], None] = require_nothing
    """Raises if another run may have taken the lease."""
    _clock: float = field(default_factory=time.monotonic)

    def metadata(self, transaction: str | None = None, entries: Iterable[Entry] = ()) -> str:
        """Return the metadata of a commit of this run, as JSON.

        `row` is the run's row of `ops.runs` as of this commit, `entries` included; a later run writes it if this
        one is killed before.
        """
        after = replace(self, dropped=self.dropped.copy(), quarantined=self.quarantined.copy())
        after.enter(entries)
        return json.dumps(
            {
                "transaction": transaction,
                "run_id": self.run_id,
                "loop_id": self.loop_id,
                "job": self.job,
                "experiment": self.experiment,
                "iteration": self.iteration,
                "recipe_digest": self.recipe_digest,
                "code_version": CODE_VERSION,
                "inputs": self.inputs,
                "bookmarks": self.bookmarks,
                "writes": self.writes.name,
                "row": after.row(KILLED) | {"started_at": self.started_at.isoformat()},
            }
        )

    def enter(self, entries: Iterable[Entry]) -> None:
        """Count inputs whose rows have been committed, or that have no rows."""
        for entry in entries:
            self.n_in += entry.n
            if entry.rule is not None:
                self.quarantined[entry.rule] += entry.n
            elif entry.drop_reason is not None:
                self.dropped[entry.drop_reason] += entry.n
            else:
                self.n_out += entry.n

    @property
    def is_news(self) -> bool:
        """Return whether the run wrote something or asked a model."""
        return self.version is not None or self.n_calls > 0

    def end(self) -> float:
        """Stop the run's clock if it is running; return the run's duration in seconds."""
        if self.seconds is None:
            self.seconds = round(time.monotonic() - self._clock, 3)
        return self.seconds

    def row(self, status: str) -> dict[str, object]:
        """Return the run's row for `ops.runs`."""
        return {
            "run_id": self.run_id,
            "loop_id": self.loop_id,
            "job": self.job,
            "experiment": self.experiment,
            "iteration": self.iteration,
            "direction": self.direction,
            "unit": self.unit,
            "n_in": self.n_in,
            "n_out": self.n_out,
            "dropped": dict(self.dropped),
            "quarantined": dict(self.quarantined),
            "inputs": self.inputs,
            "methods": self.methods or None,
            "bookmarks": self.bookmarks or None,
            "version": self.version,
            "recipe_digest": self.recipe_digest,
            "code_version": CODE_VERSION,
            "seconds": self.end(),
            "n_calls": self.n_calls,
            "n_tokens": self.n_tokens,
            "prefix_hit_rate": self.prefix_hits / self.prefix_tokens if self.prefix_tokens else None,
            "state_digest": self.state_digest,
            "status": status,
            "started_at": self.started_at,
        }
