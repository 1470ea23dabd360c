"""Checks on the rows of a table and on the table as a whole."""
