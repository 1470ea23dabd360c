"""The jobs and commands: the only package that writes Delta tables, and the only one that reads a recipe."""
