"""The commands: what is read, in which order, and what is written; the only code that knows Delta and a recipe."""
