"""The jobs and commands, which read and write tables in order; the only package that knows Delta and the recipe."""
