"""The recipe: its sections with their defaults, loading it from TOML, and its digests."""
