"""Slices of a table, `experiment = 'demo' AND iteration = 1`, as Arrow conditions, and the slices that hold a value."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import and_

import pyarrow.compute as pc
import pyarrow.dataset as ds

from jobs.errors import JobError
from jobs.lake.view import READ_ERRORS, LakeView, UnreadableError
from schemas.table import Table

TERM = r"(\w+) = (-?\d+|'(?:[^'\\]|\\.)*')"  # as `conform.predicate` writes it


def condition(slice: str) -> pc.Expression:
    """Parse a slice to an Arrow condition, without evaluating any other expression.

    Raises:
        ValueError: the text is not a conjunction of column = literal.
    """
    if not re.fullmatch(f"{TERM}(?: AND {TERM})*", slice, re.DOTALL):
        raise ValueError("the slice is not a conjunction of column = literal")
    terms = (pc.field(column) == _value(text) for column, text in re.findall(TERM, slice, re.DOTALL))
    return reduce(and_, terms)


def _value(text: str) -> str | int:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL) if text.startswith("'") else int(text)


def slices_with(
    view: LakeView, table: Table, slices: Iterable[tuple[int, str]], column: str, values: Sequence[str]
) -> list[tuple[str, int, str]]:
    """Return each value found in a column with the version and slice that hold it; `slices` are of partition columns.

    Each file is read once, even if it is part of many versions.

    Raises:
        JobError: a version no longer exists or cannot be read.
    """
    files: dict[str, ds.Fragment] = {}
    slices_of_file: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for version, slice in slices:
        delta = view.delta(table, version)
        if delta is None:
            raise JobError(f"{table.name}: not written yet in {view.root}")
        try:
            for file in delta.to_pyarrow_dataset().get_fragments(condition(slice)):
                files[file.path] = file
                slices_of_file[file.path].append((version, slice))
        except (*READ_ERRORS, ValueError) as error:
            raise UnreadableError(view.root, f"{table.name}@{version} where {slice}", error) from error
    places: list[tuple[str, int, str]] = []
    for path, file in files.items():
        found_values = file.to_table(columns=[column], filter=pc.field(column).isin(values))[column].to_pylist()
        places += [(str(value), *place) for value in found_values for place in slices_of_file[path]]
    return places
