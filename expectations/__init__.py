"""What must hold of a table, row by row and as a whole."""
