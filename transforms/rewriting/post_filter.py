"""REInstruct's filter of rewritten pairs (arXiv 2408.10663), which uses no score.

It differs from the authors' `filter_rewritten.py` in two ways. It looks for `this` as a whole word, where theirs also
rejects an instruction with "thistle". It returns the first reason.
"""

import re

MAX_INSTRUCTION_CHARS = 500
MAX_DASHES = 10
DASH = "- "
THIS = re.compile(r"\bthis\b", re.IGNORECASE)
SOURCES = ("web text", "based on the information provided")
REFUSALS = ("sorry", "i apologize")
POST_FILTER_REASONS = ("long_instruction", "many_dashes", "says_this", "mentions_source", "refusal")
"""In the order of application: the first that holds is the reason."""


def post_filtered(instruction: str, response: str, *, refusals: bool = True) -> str | None:
    """Return the first of `POST_FILTER_REASONS` to drop a pair, or None.

    `long_instruction`: over 500 characters. `many_dashes`: the response has `- ` more than ten times, in lists or
    elsewhere. `says_this`: the instruction has the word `this`, and so points at a text that is not there.
    `mentions_source`: the response has a trace of the web text. `refusal`: it has `sorry` or `i apologize` anywhere;
    an option, as in the authors' script.
    """
    lower = response.lower()
    if len(instruction) > MAX_INSTRUCTION_CHARS:
        return "long_instruction"
    if response.count(DASH) > MAX_DASHES:
        return "many_dashes"
    if THIS.search(instruction):
        return "says_this"
    if any(trace in lower for trace in SOURCES):
        return "mentions_source"
    return "refusal" if refusals and any(word in lower for word in REFUSALS) else None
