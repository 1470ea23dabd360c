"""The method, mainly functions from DataFrames to one DataFrame; no writes and no clock."""
