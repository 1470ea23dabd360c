"""Spark's SQL over a lake, translated by sqlglot and answered by DuckDB, without a JVM.

Command line: `humpback sql --engine duckdb`.
"""

import logging
import re
from collections.abc import Iterator
from typing import Any

import duckdb
import sqlglot
from sqlglot import ErrorLevel, exp
from sqlglot.errors import ParseError, SqlglotError, UnsupportedError

from jobs.errors import JobError
from jobs.lake.drift import DRIFT, DRIFT_VIEW
from jobs.lake.names import suggestion
from jobs.lake.queries import CATALOG, no_such_table
from jobs.lake.rows import Rows
from jobs.lake.view import READ_ERRORS, LakeView, UnreadableError, one_line
from schemas import BY_NAME
from schemas.table import Table

USE_SPARK = "use --engine spark"
DIFFERENT_FUNCTIONS = frozenset({"hash"})
"""Functions of both engines that return different values in DuckDB."""
_INTEGERS = (exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT)
_HAS_PART = "typeof(x) = 'DOUBLE' OR typeof(x) = 'FLOAT' OR typeof(x) LIKE 'DECIMAL%'"
_DAMAGED = "reading the stream registered as"  # start of DuckDB's message if delta-rs cannot read a file
_MISSING_COLUMN = re.compile(
    r'(?i)column "([^"]+)" (?:(?:was )?not found|does not exist)|does not have a column named "([^"]+)"'
)


def answer(view: LakeView, text: str) -> Rows:
    """Answer one query in Spark's SQL over the lake's tables (and their versions) by name, and the view `drift`.

    Raises:
        JobError: the text is not a query, reads anything else, or cannot be answered by DuckDB as Spark would.
    """
    query = _parsed(text)
    tables = _replace_tables(view, query)
    translated = _translated(query)
    try:
        rows = view.answer(translated)
    except READ_ERRORS as error:
        raise _query_error(view, tables, error) from error
    return Rows(rows.columns, _fetched(view, tables, rows))


def _fetched(view: LakeView, tables: list[Table], rows: Rows) -> Iterator[Any]:
    try:
        yield from rows.values
    except READ_ERRORS as error:
        raise _query_error(view, tables, error) from error


def _parsed(text: str) -> exp.Query:
    """Parse a statement; raise a JobError unless it is one query that writes nothing and runs no other command."""
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of each statement that it does not parse in full
    try:
        statements = [statement for statement in sqlglot.parse(text, read="spark") if statement]
    except SqlglotError as error:
        message = _parser_message(error)
        raise JobError(f"sql: DuckDB's engine cannot read the statement: {message}; {USE_SPARK}") from error
    if len(statements) != 1:
        raise JobError(f"sql: {len(statements)} statements; give one query")
    [statement] = statements
    if not isinstance(statement, exp.Query):
        raise JobError(f"sql: DuckDB's engine runs queries only, SELECT or WITH; {USE_SPARK}")
    for hint in list(statement.find_all(exp.Hint)):
        hint.pop()  # hints are only for Spark's optimiser
    for node in statement.walk():
        if isinstance(node, (exp.DML, exp.DDL, exp.Command, exp.Into, exp.QueryTransform)):
            raise JobError("sql: the statement holds more than a query; tables are written by jobs alone")
        if isinstance(node, exp.Anonymous) and node.name.lower() in DIFFERENT_FUNCTIONS:
            raise JobError(f"sql: the function {node.name.lower()} gives other values in DuckDB; {USE_SPARK}")
    return statement


def _parser_message(error: SqlglotError) -> str:
    """Return a parser's message with the position of the fault, without the statement."""
    if isinstance(error, ParseError) and error.errors:
        first = error.errors[0]
        description = re.sub(r" for <class [^>]*>", "", first["description"]).rstrip(".")
        return f"{description} at line {first['line']}, column {first['col']}"
    return one_line(error)


def _replace_tables(view: LakeView, query: exp.Query) -> list[Table]:
    """Replace the names of tables and of the view with DuckDB's, and return the tables that are read."""
    subqueries = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    tables = []
    for node in list(query.find_all(exp.Table)):
        if not isinstance(node.this, exp.Identifier):
            raise JobError(f"sql: DuckDB's engine reads the lake's tables only, not {node.sql('spark')}; {USE_SPARK}")
        parts = [part.name.lower() for part in node.parts]
        name = ".".join(parts[1:] if len(parts) == 3 and parts[0] == CATALOG else parts)
        if len(parts) == 1 and name in subqueries:
            continue
        if name == DRIFT_VIEW:
            drift = _parsed(DRIFT)
            tables += _replace_tables(view, drift)
            node.replace(exp.Subquery(this=drift, alias=_alias(node)))
        elif name in BY_NAME:
            tables.append(BY_NAME[name])
            duckdb_table = exp.to_table(view.open(BY_NAME[name], _version(node)))
            node.replace(exp.Table(this=duckdb_table.this, db=duckdb_table.args["db"], **_other_arguments(node)))
        else:
            raise no_such_table(name)
    return tables


def _alias(node: exp.Table) -> exp.Expr:
    return node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(node.name))


def _other_arguments(node: exp.Table) -> dict[str, Any]:
    """Return the other arguments of a table node (joins, pivots, a sample), with its alias, which may be its name."""
    arguments = {
        key: value for key, value in node.args.items() if key not in ("this", "db", "catalog", "version", "alias")
    }
    return arguments | {"alias": _alias(node)}


def _version(node: exp.Table) -> int | None:
    version = node.args.get("version")
    if version is None:
        return None
    number = version.expression
    if version.name != "VERSION" or not isinstance(number, exp.Literal) or not number.name.isdigit():
        raise JobError(f"sql: DuckDB's engine takes VERSION AS OF and a number; {USE_SPARK}")
    return int(number.name)


def _translated(query: exp.Query) -> str:
    """Return the query in DuckDB's SQL."""
    for node in list(query.walk())[::-1]:  # children are replaced before their parents
        replacement = _with_spark_meaning(node)
        if replacement is not node:
            node.replace(replacement)
    try:
        return query.sql("duckdb", unsupported_level=ErrorLevel.RAISE)
    except UnsupportedError as error:
        raise JobError(f"sql: DuckDB cannot answer this query: {one_line(error)}; {USE_SPARK}") from error


def _with_spark_meaning(node: exp.Expr) -> exp.Expr:
    """Rewrite a node that sqlglot leaves unchanged although DuckDB evaluates it differently from Spark 4."""
    if isinstance(node, exp.Lateral) and node.args.get("outer"):
        raise JobError(f"sql: DuckDB's engine does not support LATERAL VIEW OUTER; {USE_SPARK}")
    if isinstance(node, exp.Like) and not isinstance(node.parent, exp.Escape) and "\\" in node.expression.name:
        return exp.Escape(this=node.copy(), expression=exp.Literal.string("\\"))
    if isinstance(node, (exp.Div, exp.IntDiv, exp.Mod)) and not isinstance(node.expression, exp.Literal):
        return _divided(node)
    if isinstance(node, exp.Cast):
        return _cast(node)
    return node


def _divided(node: exp.Binary) -> exp.Expr:
    """Return a division that fails if the divisor is 0, for which DuckDB returns null, NaN or infinity."""
    divisor = node.expression.copy()
    is_zero = exp.EQ(this=exp.paren(divisor.copy()), expression=exp.Literal.number(0))
    error_call = exp.Anonymous(this="error", expressions=[exp.Literal.string("division by zero")])
    division = node.copy()
    division.set("expression", exp.Case(ifs=[exp.If(this=is_zero, true=error_call)], default=divisor))
    division.set("safe", False)
    return division


def _cast(node: exp.Cast) -> exp.Expr:
    """Return a cast that fails on a value that does not fit, and that truncates to an integer; DuckDB rounds."""
    is_try = isinstance(node, exp.TryCast)
    kind = exp.TryCast if is_try and node.args.get("safe") else exp.Cast
    plain_cast = kind(this=node.this.copy(), to=node.to.copy())
    if node.to.this not in _INTEGERS:
        return plain_cast if is_try else node
    number = exp.Trunc(this=kind(this=node.this.copy(), to=exp.DataType.build("double")))
    has_part = sqlglot.parse_one(_HAS_PART, read="duckdb")
    has_part = has_part.transform(lambda n: node.this.copy() if isinstance(n, exp.Column) else n)
    return exp.Case(ifs=[exp.If(this=has_part, true=kind(this=number, to=node.to.copy()))], default=plain_cast)


def _query_error(view: LakeView, tables: list[Table], error: BaseException) -> JobError:
    """Return the error that ended a query, as one sentence."""
    names = ", ".join(dict.fromkeys(table.name for table in tables))
    message = str(error).partition("\n\nLINE ")[0]
    if missing_column := _MISSING_COLUMN.search(message):
        column = next(name for name in missing_column.groups() if name)
        columns = [name for table in tables for name in table.columns]
        return JobError(f"sql: there is no column {column} in {names or 'the query'}{suggestion(column, columns)}")
    if not isinstance(error, duckdb.Error) or _DAMAGED in message:
        return UnreadableError(view.root, names, error)
    return JobError(f"sql: DuckDB cannot answer this query: {' '.join(message.split())[:300]}; {USE_SPARK}")
