"""The method: DataFrames in, one DataFrame out; no action, no files, no clock."""
