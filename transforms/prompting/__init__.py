"""Prompt templates, the requests made of them, and the rows made of the answers."""
