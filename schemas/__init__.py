"""The declaration of every table of the lake. This package imports no other package of the project."""

from schemas import bronze, gold, ops, silver
from schemas.table import Table, check_references

TABLES: tuple[Table, ...] = (*bronze.TABLES, *silver.TABLES, *gold.TABLES, *ops.TABLES)
"""Every table, in the order of the flow."""

BY_NAME: dict[str, Table] = {table.name: table for table in TABLES}

check_references(TABLES)
