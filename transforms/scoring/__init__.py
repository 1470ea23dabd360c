"""Scorers, their scores, curation, and what scores are worth."""
