"""Conversations and the seed pairs chosen from them."""
