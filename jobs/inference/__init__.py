"""Requests from jobs to models: through the ledger, in waves, to servers that the caller passes in."""
