"""How jobs ask models: requests through the ledger, in waves, by servers that are passed in."""
