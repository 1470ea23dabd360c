"""Pages to segments: HTML, headers, quality rules, language and personal data."""
