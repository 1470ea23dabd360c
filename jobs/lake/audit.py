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
from jobs.lake.view import READ_ERRORS, LakeView, UnreadableError
from schemas import BY_NAME, TABLES
from schemas.content_digest import Digest, content_digest
from schemas.gold import TRAINING_EXAMPLES
from schemas.ops import RUNS
from schemas.table import Table

SHORT = 12  # characters of a digest in a message
MAX_VALUE = 200  # characters of a value from the lake in a message


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
                yield from self._repeated_keys(table)
                yield from self._rule_violations(table)
            except OtherReleaseError as error:
                self._unreadable.add(table.name)
                yield f"{table.name}: was written by another release of humpback: it {error.difference}"
            except (UnreadableError, *READ_ERRORS) as error:
                self._unreadable.add(table.name)
                yield f"{table.name}: cannot be read: {_first_line(error)}"

    def _repeated_keys(self, table: Table) -> Iterator[str]:
        key = ", ".join(f'"{column}"' for column in table.key)
        groups = f"SELECT {_row_id(table)} AS value FROM {table.name} GROUP BY {key} HAVING count(*) > 1"
        n, example = self._row(f"SELECT count(*), min(value) FROM ({groups})")
        if n:
            yield f"{table.name}: keys that occur more than once: {n:,}, e.g. {_printable(example)}"

    def _rule_violations(self, table: Table) -> Iterator[str]:
        rules = table.rules_quoted('"')
        violations = [f"NOT coalesce({rule}, false)" for rule in rules.values()]
        counts = [
            f"count(*) FILTER ({violation}), min({_row_id(table)}) FILTER ({violation})" for violation in violations
        ]
        results = self._row(f"SELECT {', '.join(counts)} FROM {table.name}")
        for name, n, example in zip(rules, results[::2], results[1::2], strict=True):
            if n:
                yield f"{table.name}: rows that break {name}: {n:,}, e.g. {_printable(example)}"

    def references(self) -> Iterator[str]:
        """Yield the columns with values that are in none of the columns that they refer to."""
        for table in TABLES:
            for column, targets in table.references.items():
                if not self._unreadable.isdisjoint({table.name, *(target.rpartition(".")[0] for target in targets)}):
                    continue
                column_name = f"{table.name}.{column}"
                n, example = self._dangling(column_name, targets)
                if n and targets == ("ops.runs.run_id",):
                    # A run that was killed, or has not ended, has no row, but its id is in its commits.
                    n, example = self._dangling(column_name, targets, self._committers(table))
                if n:
                    missing = f"values that are not in {' or '.join(targets)}: {n:,}, e.g. {_printable(example)}"
                    yield f"{column_name}: {missing}"

    def _dangling(self, column_name: str, targets: tuple[str, ...], known: tuple[str, ...] = ()) -> tuple[Any, ...]:
        """Count a column's values that are neither in the targets nor known; also return the smallest of them."""
        target_values = " UNION ".join(map(_values, targets))
        if known:
            target_values += " UNION SELECT unnest($known)"
        query = f"SELECT count(*), min(value) FROM ({_values(column_name)} EXCEPT ({target_values}))"
        return self._row(query, {"known": known} if known else {})

    def _committers(self, table: Table) -> tuple[str, ...]:
        """Return the ids of the runs that the table's commits name."""
        delta = self._view.delta(table)
        commits = delta.history() if delta else []
        run_ids = set()
        for commit in commits:
            try:
                run_ids.add(str(json.loads(commit["userMetadata"])["run_id"]))
            except (KeyError, TypeError, ValueError):  # a commit of another program
                continue
        return tuple(sorted(run_ids))

    def accounts(self) -> Iterator[str]:
        """Yield the successful runs whose inputs are not all accounted for."""
        if RUNS.name in self._unreadable:
            return
        n_lost = "coalesce(list_sum(map_values(dropped)), 0) + coalesce(list_sum(map_values(quarantined)), 0)"
        accounts = f"SELECT job, run_id, n_in, n_out + {n_lost} AS out FROM ops.runs WHERE status = 'ok'"
        for job, run_id, n_in, n_out in self._all(f"SELECT * FROM ({accounts}) WHERE n_in <> out ORDER BY run_id"):
            run = f"{_printable(job)}, run {_printable(run_id)}"
            yield f"ops.runs: the counts of {run}, do not balance: {n_in:,} in, {n_out:,} out, dropped or quarantined"

    def releases(self) -> Iterator[str]:
        """Yield the releases that cannot be read, or hold other rows than were released."""
        if "ops.releases" in self._unreadable:
            return
        columns = '"table", version, slice, n_rows, content_digest'
        for name, version, slice, n_rows, digest in self._all(f"SELECT {columns} FROM ops.releases ORDER BY {columns}"):
            slice_name = f"{_printable(name)}@{version} where {_printable(slice)}"
            try:
                held = self._digest(name, version, slice)
                if held != (n_rows, digest):
                    yield (
                        f"ops.releases: {slice_name} is not what was released: {held[0]:,} rows with digest "
                        f"{held[1][:SHORT]}, released were {n_rows:,} with {_printable(digest)[:SHORT]}"
                    )
            except (*READ_ERRORS, ValueError, TypeError) as error:
                yield f"ops.releases: {slice_name} cannot be read: {_first_line(error)}"

    def models(self) -> Iterator[str]:
        """Yield the models whose training set cannot be read, or is not the one they were trained on."""
        if "ops.models" in self._unreadable:
            return
        columns = "model_id, dataset, table_version, content_digest"
        models = self._all(f"SELECT {columns} FROM ops.models ORDER BY {columns}")
        for model, dataset, version, trained_digest in models:
            try:
                _, digest = self._digest(TRAINING_EXAMPLES.name, version, predicate({"dataset": dataset}))
                if digest != trained_digest:
                    pinned = f"version {version} of {_printable(dataset)} holds"
                    yield f"ops.models: {_printable(model)} was trained on other rows than {pinned}"
            except (*READ_ERRORS, ValueError, TypeError) as error:
                yield f"ops.models: the training set of {_printable(model)} cannot be read: {_first_line(error)}"

    def _digest(self, name: str, version: int, slice: str) -> Digest:
        """Return row count and content digest of a slice of a table's version.

        Raises:
            ValueError: there is no such table, or the slice is not valid.
        """
        cache_key = (name, version, slice)
        if cache_key not in self._digests:
            if name not in BY_NAME:
                raise ValueError("no such table")
            row_filter = condition(slice)
            with delta_table(f"{self._view.root}/{BY_NAME[name].path}", version) as delta:
                if delta is None:
                    raise ValueError("the table does not exist")
                rows = delta.to_pyarrow_dataset()
                self._digests[cache_key] = content_digest(rows.scanner(filter=row_filter).to_batches())
        return self._digests[cache_key]

    def _all(self, query: str, values: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return list(map(tuple, self._view.answer(query, values).values))

    def _row(self, query: str, values: dict[str, Any] | None = None) -> tuple[Any, ...]:
        [row] = self._all(query, values)
        return row


def _values(column_name: str) -> str:
    """Return SQL for the values of a column; for an array, of its elements."""
    table, _, column = column_name.rpartition(".")
    is_array = isinstance(BY_NAME[table].schema[column].dataType, ArrayType)
    value = f'unnest("{column}")' if is_array else f'"{column}"'
    return f"SELECT value FROM (SELECT {value} AS value FROM {table}) WHERE value IS NOT NULL"


def _row_id(table: Table) -> str:
    """Return SQL for a row's key as one text, in the form of the quarantine's `row_id`."""
    return "concat_ws('/', {})".format(", ".join(f"coalesce(\"{column}\"::VARCHAR, '?')" for column in table.key))


def _printable(value: object) -> str:
    """Return a value, which may come from the web, in printable form on one line, cut at `MAX_VALUE` characters."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(value)[: MAX_VALUE + 1])
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def _first_line(error: BaseException) -> str:
    """Return a reader's message without its traceback."""
    if isinstance(error, UnreadableError):
        return _printable(error.reason)
    return _printable((str(error).strip() or type(error).__name__).splitlines()[0])
