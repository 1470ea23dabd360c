"""Print the data dictionary as Markdown.

python -m schemas
"""

import sys

from pyspark.sql.types import StructField

from schemas import TABLES
from schemas.table import Table


def entry(table: Table) -> str:
    """Return the dictionary's section on one table."""
    facts = [f"key `{', '.join(table.key)}`", f"write `{table.write}`"]
    if table.partition_by:
        facts.append(f"partitioned by `{', '.join(table.partition_by)}`")
    rows = [
        f"| `{f.name}` | {f.dataType.simpleString()} | {'yes' if f.nullable else ''} | {_meaning(table, f)} |"
        for f in table.schema
    ]
    rules = [f"- `{name}`: `{rule}`" for name, rule in table.constraints.items()]
    return "\n".join(
        [
            f"## {table.name}",
            "",
            f"{table.comment} {'; '.join(facts)}.".replace(". key", ". Key"),
            "",
            "| column | type | null | meaning |",
            "|---|---|---|---|",
            *rows,
            *(["", *rules] if rules else []),
            "",
        ]
    )


def _meaning(table: Table, field: StructField) -> str:
    """Return the column's comment, followed by links to the tables that it references."""
    comment, links = str(field.metadata["comment"]), []
    for target in table.references.get(field.name, ()):
        anchor = target.rpartition(".")[0].replace(".", "")  # a heading's anchor is its text without the dots
        links.append(f"[{target}](#{anchor})")
    return f"{comment} → {' or '.join(links)}" if links else comment


def dictionary() -> str:
    """Return the whole data dictionary, in the order of `TABLES`."""
    return "# Data dictionary\n\n" + "\n".join(entry(table) for table in TABLES)


if __name__ == "__main__":
    sys.stdout.write(dictionary())
