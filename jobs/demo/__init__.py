"""The demo's web pages and questions, made on the user's machine from Debian's documentation packages."""
