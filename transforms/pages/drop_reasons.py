"""The reasons in `silver.segments.drop_reason`, apart from the code that needs a parser and a language model."""

from transforms.pages.quality_rules import RULES

DROP_REASONS = (
    "blocked_url",
    "too_many_headers",
    "no_header",  # the whole page, one row
    "too_short",
    "too_long",
    "empty_header",
    "uppercase_header",
    "navigation_header",
    "repetitive",
    "language",
    "blocked_words",
    *RULES,
)
"""In the order of application: the first rule that drops a segment names the reason."""
