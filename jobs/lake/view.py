"""A lake's tables in DuckDB, opened by delta-rs, for commands that only read and start no JVM."""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyspark.sql.types import TimestampType

from jobs.errors import JobError
from jobs.lake.compatibility import require_known_columns
from jobs.lake.conform import arrow_of
from jobs.lake.local import delta_table, folder
from jobs.lake.names import suggestion
from jobs.lake.rows import Rows
from schemas import BY_NAME, TABLES
from schemas.place import local_path
from schemas.table import Table

Row = dict[str, Any]
READ_ERRORS = (DeltaError, OSError, pa.ArrowException, duckdb.Error)
"""The errors of the readers for damaged files or logs and for a store that does not answer."""
MEMORY = "2GB"  # larger queries spill to files, which are deleted with the view
BATCH = 1024  # rows that are fetched from DuckDB at a time
LAYERS = sorted({table.name.split(".")[0] for table in TABLES})
_NAMED = re.compile(rf"\b(?:{'|'.join(LAYERS)})\.\w+")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class UnreadableError(JobError):
    """Tables that the readers cannot read; `reason` is the reader's message."""

    def __init__(self, root: str, tables: str, error: BaseException) -> None:
        """`what` names the tables, `error` is the reader's exception."""
        self.reason = one_line(error)
        advice = "`humpback audit` looks at every table"
        if local_path(root) is None:
            advice = "give the store's credentials in the environment, or use `humpback sql`, which runs on Spark"
        super().__init__(f"{root}: {tables} cannot be read: {self.reason}; {advice}")


class LakeView:
    """The tables below one root, which DuckDB's SQL reads by name; each is opened when a query first names it.

    No statement can reach a file, an address, an extension or a setting: DuckDB is locked before the first one.
    """

    def __init__(self, root: str) -> None:
        """`root` is a folder or any URI that delta-rs can read; a store's credentials come from the environment.

        Raises:
            JobError: there is no such folder.
        """
        self.root = _root_path(root)
        self._opened: dict[tuple[str, int | None], DeltaTable | None] = {}
        self._known: set[str] = set()
        self._closing = ExitStack()
        spill = self._closing.enter_context(TemporaryDirectory(prefix="humpback-spill-"))
        settings: dict[str, Any] = {"temp_directory": spill, "memory_limit": MEMORY}
        self._tables = self._closing.enter_context(duckdb.connect(config=settings))
        # The rules are Spark SQL; this is the only function in them that DuckDB lacks.
        self._tables.execute("CREATE MACRO octet_length(text) AS strlen(text)")
        for layer in LAYERS:
            self._tables.execute(f"CREATE SCHEMA {layer}")
        for setting in ("autoinstall_known_extensions", "autoload_known_extensions", "enable_external_access"):
            self._tables.execute(f"SET {setting} = false")
        self._tables.execute("SET lock_configuration = true")

    def __enter__(self) -> Self:
        """Return the view itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the tables and DuckDB, and delete its files."""
        self._closing.close()

    def require_lake(self) -> Self:
        """Check that any table exists, and return the view.

        Raises:
            JobError: there is none, or the store cannot be read.
        """
        if not any(self.delta(table) for table in TABLES):
            raise JobError(
                f"{self.root}: not a lake, since it has none of the tables; name the folder that `humpback run` wrote"
            )
        return self

    def delta(self, table: Table, version: int | None = None) -> DeltaTable | None:
        """Open a table with delta-rs, at `version` or the newest; None if it has not been written yet.

        Raises:
            JobError: there is no such version.
            UnreadableError: the table's log cannot be read.
        """
        if (table.name, version) not in self._opened:
            if version is not None:
                self._require_version(table, version)
            try:
                delta = self._closing.enter_context(delta_table(f"{self.root}/{table.path}", version))
            except READ_ERRORS as error:
                raise UnreadableError(self.root, table.name, error) from error
            self._opened[table.name, version] = delta
        return self._opened[table.name, version]

    def open(self, table: Table, version: int | None = None) -> str:
        """Register a table with DuckDB, at `version` or the newest, and return its name there.

        It has the declared columns. A table that has not been written yet has no rows; a nullable column that is
        missing is null. Times are in UTC, without a zone.

        Raises:
            JobError: there is no such version.
            UnreadableError: the table cannot be read.
            OtherReleaseError: another release of humpback wrote it.
        """
        layer, _, name = table.name.partition(".")
        duckdb_name = table.name if version is None else f"{layer}.{name}_at_{version}"
        if duckdb_name in self._known:
            return duckdb_name
        delta = self.delta(table, version)
        try:
            rows: Any = delta.to_pyarrow_dataset() if delta else arrow_of(table, [])
        except READ_ERRORS as error:
            raise UnreadableError(self.root, table.name, error) from error
        require_known_columns(table, rows.schema.names, self.root)
        self._tables.register(f"{duckdb_name}, as stored", rows)
        source = f'"{duckdb_name}, as stored"'
        if len(rows.schema.names) < len(table.columns):
            self._tables.register(f"{duckdb_name}, as declared", arrow_of(table, []))
            source = f'(SELECT * FROM "{duckdb_name}, as declared" UNION ALL BY NAME SELECT * FROM {source})'
        columns = (
            f'"{f.name}"::TIMESTAMP AS "{f.name}"' if isinstance(f.dataType, TimestampType) else f'"{f.name}"'
            for f in table.schema
        )
        self._tables.execute(f"CREATE VIEW {duckdb_name} AS SELECT {', '.join(columns)} FROM {source}")
        self._known.add(duckdb_name)
        return duckdb_name

    def rows(self, query: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        """Return the rows of a query of humpback's own code; `values` has the query's `$names`, and may have more.

        Raises:
            UnreadableError: a table cannot be read.
        """
        try:
            answer = self.answer(query, values)
            return [dict(zip(answer.columns, row, strict=True)) for row in answer.values]
        except READ_ERRORS as error:
            raise UnreadableError(self.root, ", ".join(_tables_in(query)), error) from error

    def answer(self, query: str, values: Mapping[str, Any] | None = None) -> Rows:
        """Return the answer to a query; errors of DuckDB and delta-rs are not translated.

        Consume its rows before the next query to the view.
        """
        for name in _tables_in(query):
            self.open(BY_NAME[name])
        parameters = set(re.findall(r"\$([a-z_]\w*)", query))
        cursor = self._tables.execute(query, {name: v for name, v in (values or {}).items() if name in parameters})
        return Rows([column[0] for column in cursor.description or ()], _fetched(cursor))

    def folder(self, name: str) -> Path:
        """Return a local folder for files other than tables: below the lake if it is local."""
        return folder(self.root, name)

    def _require_version(self, table: Table, version: int) -> None:
        newest = self.delta(table)
        if newest is None or not 0 <= version <= newest.version():
            available = f"its versions are 0 to {newest.version()}" if newest else "it has not been written yet"
            raise JobError(f"{table.name}: no version {version} in {self.root}; {available}")


def one_line(error: BaseException, length: int = 300) -> str:
    """Return a reader's message on one line, cut at `length` characters."""
    text = " ".join(_COLOUR.sub("", str(error)).replace("↳", " ").split()) or type(error).__name__
    return text if len(text) <= length else text[: length - 1] + "…"


def _root_path(root: str) -> str:
    """Return the lake's root in the form that delta-rs takes."""
    local = local_path(root)
    if local and not local.is_dir():
        siblings = [file.name for file in local.parent.iterdir()] if local.parent.is_dir() else []
        raise JobError(
            f"{root}: no such folder{suggestion(local.name, siblings) or '; name the lake that `humpback run` wrote'}"
        )
    return str(local) if local else root.rstrip("/")


def _tables_in(query: str) -> list[str]:
    return [name for name in dict.fromkeys(_NAMED.findall(query)) if name in BY_NAME]


def _fetched(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while batch := cursor.fetchmany(BATCH):
        yield from batch
