"""Duplicates, decontamination and the draw of the pool."""
