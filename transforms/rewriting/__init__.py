"""Rewritten responses: how a rewriter's reply is read, when it is rejected, and which text supports each sentence."""
