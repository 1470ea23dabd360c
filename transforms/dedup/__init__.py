"""Deduplication, decontamination and the draw from the pool of segments."""
