"""Prompt templates, the requests built from them, and the rows made from the answers."""
