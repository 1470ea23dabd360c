"""Print the data dictionary as Markdown.

python -m schemas
"""

import sys

from schemas import TABLES
from schemas.table import Table


def entry(table: Table) -> str:
    """The dictionary's section on one table."""
    facts = [f"key `{', '.join(table.key)}`", f"write `{table.write}`"]
    if table.partition_by:
        facts.append(f"partitioned by `{', '.join(table.partition_by)}`")
    rows = [
        f"| `{f.name}` | {f.dataType.simpleString()} | {'yes' if f.nullable else ''} | {f.metadata['comment']} |"
        for f in table.schema
    ]
    rules = [f"- `{name}`: `{rule}`" for name, rule in table.constraints.items()]
    return "\n".join(
        [
            f"## {table.name}",
            "",
            f"{table.comment} {'; '.join(facts)}.".replace(". key", ". Key"),
            "",
            "| column | type | null | what it is |",
            "|---|---|---|---|",
            *rows,
            *(["", *rules] if rules else []),
            "",
        ]
    )


def dictionary() -> str:
    """The whole data dictionary, in the order of the flow."""
    return "\n".join(entry(table) for table in TABLES)


if __name__ == "__main__":
    sys.stdout.write(dictionary())
