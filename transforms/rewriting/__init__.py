"""Rewritten responses: read a rewriter's reply, reject it if need be, and find the text that supports each sentence."""
