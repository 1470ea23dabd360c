"""Scorers, their scores, curation, and the evaluation of scores on known pairs."""
