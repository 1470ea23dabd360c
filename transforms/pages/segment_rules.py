"""The paper's rules on headers and on repetition within a segment (section 2.1 and appendix)."""

import re

# The paper names adverts, forums, quick links and free newsletters, and says its list goes on.
NAVIGATION = re.compile(
    r"\b(?:advertisements?|forums?|quick ?links?|newsletters?|subscribe|follow us|site ?map|main menu"
    r"|leave a (?:reply|comment)|share this|privacy policy|terms of (?:use|service)|external links"
    r"|related (?:\w+ )?(?:links|posts|articles|topics)|recent (?:posts|comments|articles)"
    r"|(?:in|on) this (?:page|article|chapter))\b"
    r"|^(?:menu|navigation|search|links?|(?:table of )?contents?|categor(?:y|ies)|archives?|tags?|comments?|share"
    r"|contact(?: us)?|about us|see also|references|further reading|footnotes?|index|home|next|previous"
    r"|sign ?(?:in|up)|log ?in|register|cookies?|advertising)\W*$",
    re.IGNORECASE,
)
MAX_NAVIGATION_CHARS = 60  # a longer header is a sentence that happens to hold such a word
SENTENCE_END = re.compile(r"\s(?<=[.!?]\s)\s*")  # begins with what few characters are: twice as fast
# Code between two fences, each alone on its line but for a list's bullet and a language's name; the second is at least
# as long as the first (CommonMark). Java reads it, too.
FENCED = r"(?<![^\n])[ \t]*(?:(?:-|-?\d+\.) )?(`{3,})[^`\n]*(?=\n)(?s:.*?)(?:\n[ \t]*\1`*[ \t]*(?![^\n])|(?![\s\S]))"
CODE = re.compile(FENCED)
WORD = re.compile(r"\w+")
MIN_SENTENCE_WORDS = 5  # "See below." twice is no repetition


def header_fault(header: str) -> str | None:
    """`empty_header`, `uppercase_header` or `navigation_header`; None for a header that passes."""
    if not header:
        return "empty_header"
    if header.isupper():
        return "uppercase_header"
    if len(header) <= MAX_NAVIGATION_CHARS and NAVIGATION.search(header):
        return "navigation_header"
    return None


def is_repetitive(text: str, ngram: int, max_jaccard: float) -> bool:
    """Whether two of its sentences share more than `max_jaccard` of their word n-grams.

    Code and tables, whose lines resemble each other by nature, are not looked at.
    """
    seen: list[set[tuple[str, ...]]] = []
    all_seen: set[tuple[str, ...]] = set()
    for sentence in sentences(text):
        words = WORD.findall(sentence.lower())
        if len(words) < max(MIN_SENTENCE_WORDS, ngram):
            continue
        grams = set(zip(*(words[i:] for i in range(ngram)), strict=False))
        may_repeat = len(grams & all_seen) > max_jaccard * len(grams)
        for other in seen if may_repeat else ():
            # The sizes alone bound the similarity.
            if min(len(grams), len(other)) <= max_jaccard * max(len(grams), len(other)):
                continue
            shared = len(grams & other)
            if shared > max_jaccard * (len(grams) + len(other) - shared):
                return True
        seen.append(grams)
        all_seen |= grams
    return False


def sentences(text: str) -> list[str]:
    """The sentences and lines of the prose in a segment."""
    lines = (line for line in CODE.sub("\n", text).split("\n") if not line.startswith(("|", "#")))
    return [sentence for line in lines for sentence in SENTENCE_END.split(line) if sentence]
