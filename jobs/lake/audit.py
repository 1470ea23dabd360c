"""An audit of a whole lake, by delta-rs and DuckDB, which are independent of the writer.

It checks that keys are unique, row rules hold, references resolve, the row accounts of runs balance, and the rows that
were released or trained on are readable and unchanged.
"""

import json
from collections.abc import Iterator
from typing import Any

from pyspark.sql.types import ArrayType

from jobs.errors import JobError
from jobs.lake.compatibility import OtherReleaseError
from jobs.lake.conform import predicate
from jobs.lake.local import delta_table
from jobs.lake.slices import condition
from jobs.lake.view import READING, LakeView, UnreadableError
from schemas import BY_NAME, TABLES
from schemas.content_digest import Digest, content_digest
from schemas.gold import TRAINING_EXAMPLES
from schemas.ops import RUNS
from schemas.table import Table

SHOWN = 200  # characters of a value from the lake in a message


def faults(root: str) -> list[str]:
    """Return every fault of the lake, one sentence each.

    Raises:
        JobError: there is no lake at `root`.
    """
    with LakeView(root) as view:
        if view.delta(RUNS) is None:
            raise JobError(
                f"{root}: not a lake, since it has no table {RUNS.name}; name the folder that `humpback run` wrote"
            )
        audit = _Audit(view)
        # `rows` comes first: it finds the unreadable tables, which the other checks skip.
        return [*audit.rows(), *audit.references(), *audit.accounts(), *audit.releases(), *audit.models()]


class _Audit:
    """The checks of one lake; each yields its faults."""

    def __init__(self, view: LakeView) -> None:
        self._view = view
        self._unreadable: set[str] = set()
        self._digests: dict[tuple[str, int, str], Digest] = {}

    def rows(self) -> Iterator[str]:
        """Yield the keys that occur more than once and the rules that rows break, with an example of each."""
        for table in TABLES:
            try:
                self._view.open(table)
                yield from self._repeated(table)
                yield from self._broken(table)
            except OtherReleaseError as error:
                self._unreadable.add(table.name)
                yield f"{table.name}: was written by another release of humpback: it {error.difference}"
            except (UnreadableError, *READING) as error:
                self._unreadable.add(table.name)
                yield f"{table.name}: cannot be read: {_line(error)}"

    def _repeated(self, table: Table) -> Iterator[str]:
        key = ", ".join(f'"{column}"' for column in table.key)
        groups = f"SELECT {_row_id(table)} AS value FROM {table.name} GROUP BY {key} HAVING count(*) > 1"
        n, example = self._row(f"SELECT count(*), min(value) FROM ({groups})")
        if n:
            yield f"{table.name}: keys that occur more than once: {n:,}, e.g. {_shown(example)}"

    def _broken(self, table: Table) -> Iterator[str]:
        rules = table.rules_quoted('"')
        breaks = [f"NOT coalesce({rule}, false)" for rule in rules.values()]
        counts = [f"count(*) FILTER ({broken}), min({_row_id(table)}) FILTER ({broken})" for broken in breaks]
        found = self._row(f"SELECT {', '.join(counts)} FROM {table.name}")
        for name, n, example in zip(rules, found[::2], found[1::2], strict=True):
            if n:
                yield f"{table.name}: rows that break {name}: {n:,}, e.g. {_shown(example)}"

    def references(self) -> Iterator[str]:
        """Yield the columns with values that are in none of the columns that they refer to."""
        for table in TABLES:
            for column, targets in table.references.items():
                if not self._unreadable.isdisjoint({table.name, *(target.rpartition(".")[0] for target in targets)}):
                    continue
                here = f"{table.name}.{column}"
                n, example = self._dangling(here, targets)
                if n and targets == ("ops.runs.run_id",):
                    # A run that was killed, or has not ended, has no row, but its id is in its commits.
                    n, example = self._dangling(here, targets, self._committers(table))
                if n:
                    yield f"{here}: values that are not in {' or '.join(targets)}: {n:,}, e.g. {_shown(example)}"

    def _dangling(self, here: str, targets: tuple[str, ...], known: tuple[str, ...] = ()) -> tuple[Any, ...]:
        """Count a column's values that are neither in the targets nor known; also return the smallest of them."""
        there = " UNION ".join(map(_values, targets))
        if known:
            there += " UNION SELECT unnest($known)"
        query = f"SELECT count(*), min(value) FROM ({_values(here)} EXCEPT ({there}))"
        return self._row(query, {"known": known} if known else {})

    def _committers(self, table: Table) -> tuple[str, ...]:
        """Return the ids of the runs that the table's commits name."""
        delta = self._view.delta(table)
        commits = delta.history() if delta else []
        found = set()
        for commit in commits:
            try:
                found.add(str(json.loads(commit["userMetadata"])["run_id"]))
            except (KeyError, TypeError, ValueError):  # a commit of another program
                continue
        return tuple(sorted(found))

    def accounts(self) -> Iterator[str]:
        """Yield the successful runs whose inputs are not all accounted for."""
        if RUNS.name in self._unreadable:
            return
        lost = "coalesce(list_sum(map_values(dropped)), 0) + coalesce(list_sum(map_values(quarantined)), 0)"
        accounts = f"SELECT job, run_id, n_in, n_out + {lost} AS out FROM ops.runs WHERE status = 'ok'"
        for job, run_id, n_in, n_out in self._all(f"SELECT * FROM ({accounts}) WHERE n_in <> out ORDER BY run_id"):
            yield f"ops.runs: the account of {_shown(job)}, run {_shown(run_id)}, is open: {n_in:,} in, {n_out:,} out"

    def releases(self) -> Iterator[str]:
        """Yield the releases that cannot be read, or hold other rows than were released."""
        if "ops.releases" in self._unreadable:
            return
        facts = '"table", version, slice, n_rows, content_digest'
        for name, version, slice, *released in self._all(f"SELECT {facts} FROM ops.releases ORDER BY {facts}"):
            place = f"{_shown(name)}@{version} where {_shown(slice)}"
            try:
                if self._digest(name, version, slice) != tuple(released):
                    yield f"ops.releases: {place} is not what was released"
            except (*READING, ValueError, TypeError) as error:
                yield f"ops.releases: {place} cannot be read: {_line(error)}"

    def models(self) -> Iterator[str]:
        """Yield the models whose training set cannot be read, or is not the one they were trained on."""
        if "ops.models" in self._unreadable:
            return
        facts = "model_id, dataset, table_version, content_digest"
        for model, dataset, version, trained_on in self._all(f"SELECT {facts} FROM ops.models ORDER BY {facts}"):
            try:
                n, digest = self._digest(TRAINING_EXAMPLES.name, version, predicate({"dataset": dataset}))
                if digest != trained_on:
                    yield f"ops.models: {_shown(model)} was trained on other rows than the {n:,} of its pinned version"
            except (*READING, ValueError, TypeError) as error:
                yield f"ops.models: the training set of {_shown(model)} cannot be read: {_line(error)}"

    def _digest(self, name: str, version: int, slice: str) -> Digest:
        """Return row count and content digest of a slice of a table's version.

        Raises:
            ValueError: there is no such table, or the slice is not valid.
        """
        known = (name, version, slice)
        if known not in self._digests:
            if name not in BY_NAME:
                raise ValueError("no such table")
            wanted = condition(slice)
            with delta_table(f"{self._view.root}/{BY_NAME[name].path}", version) as delta:
                if delta is None:
                    raise ValueError("the table does not exist")
                rows = delta.to_pyarrow_dataset()
                self._digests[known] = content_digest(rows.scanner(filter=wanted).to_batches())
        return self._digests[known]

    def _all(self, query: str, values: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return list(map(tuple, self._view.answer(query, values).values))

    def _row(self, query: str, values: dict[str, Any] | None = None) -> tuple[Any, ...]:
        [row] = self._all(query, values)
        return row


def _values(place: str) -> str:
    """Return SQL for the values of a column; for an array, of its elements."""
    table, _, column = place.rpartition(".")
    is_array = isinstance(BY_NAME[table].schema[column].dataType, ArrayType)
    value = f'unnest("{column}")' if is_array else f'"{column}"'
    return f"SELECT value FROM (SELECT {value} AS value FROM {table}) WHERE value IS NOT NULL"


def _row_id(table: Table) -> str:
    """Return SQL for a row's key as one text, in the form of the quarantine's `row_id`."""
    return "concat_ws('/', {})".format(", ".join(f"coalesce(\"{column}\"::VARCHAR, '?')" for column in table.key))


def _shown(value: object) -> str:
    """Return a value, which may come from the web, in printable form on one line, cut at `SHOWN` characters."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(value)[: SHOWN + 1])
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _line(error: BaseException) -> str:
    """Return a reader's message without its traceback."""
    if isinstance(error, UnreadableError):
        return _shown(error.reason)
    return _shown((str(error).strip() or type(error).__name__).splitlines()[0])
