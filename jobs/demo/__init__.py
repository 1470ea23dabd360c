"""Real web pages and real questions for the demo, made on the spot from Debian's documentation packages."""
