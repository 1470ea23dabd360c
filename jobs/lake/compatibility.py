"""Check that this release can read a stored table and add to it."""

from collections.abc import Collection

from jobs.errors import JobError
from schemas.table import Table


class OtherReleaseError(JobError):
    """A table that another release of humpback wrote; `difference` says how its columns differ."""

    def __init__(self, root: str, table: Table, difference: str) -> None:
        """`difference` completes a sentence, such as `lacks a, b`."""
        self.difference = difference
        super().__init__(
            f"{root}: {table.name} was written by another release of humpback: it {difference}; use the "
            "lake with the release that made it (code_version in ops.runs), or start a new lake: crawl files and seed "
            "can be read again, tables of release 0.1 are not converted"
        )


def require_known_columns(table: Table, columns: Collection[str], root: str) -> None:
    """Check that a stored table has the columns that this release declares.

    It may lack nullable columns, which the next write adds.

    Raises:
        OtherReleaseError: another release wrote it; the message names the columns.
    """
    missing = [field.name for field in table.schema if not field.nullable and field.name not in columns]
    unknown = [name for name in columns if name not in table.columns]
    if missing or unknown:
        differences = [f"lacks {', '.join(missing)}"] if missing else []
        differences += [f"has {', '.join(unknown)}, which this release does not know"] if unknown else []
        raise OtherReleaseError(root, table, " and ".join(differences))
