"""The paper's rules on headers and on repetition within a segment (section 2.1, appendix)."""

import re

# The paper names adverts, forums, quick links and free newsletters as examples.
END_MATTER = (
    r"(?:leave|write|add|post) (?:a|your|us a) (?:reply|comment)|join the (?:discussion|conversation)|post navigation"
    r"|(?:share|print|tweet|like) this(?: (?:post|article|page|entry|story|on .*))?|follow us(?: on .*)?|external links"
    r"|related|related (?:\w+ )?(?:links|posts|articles|topics|stories|reading|pages|products|content)"
    r"|recent (?:posts|comments|articles)|you (?:may|might) also\b.*|recommended for you|read next"
    r"|(?:\d+|one|no) (?:comments?(?: (?:on|to)\b.*)?|thoughts? on\b.*|(?:responses?|replies) to\b.*)"
    r"|(?:notes and )?references|see also|further reading|footnotes?|bibliography|works cited"
    r"|advertisements?|(?:free |our )?newsletter|subscribe(?: to (?:our|the|my|this) .*)?|quick ?links|site ?map"
)
NAVIGATION = re.compile(
    r"\b(?:advertisements?|forums?|quick ?links?|newsletters?|subscribe|follow us|site ?map|main menu"
    r"|leave a (?:reply|comment)|share this|privacy policy|terms of (?:use|service)|external links"
    r"|related (?:\w+ )?(?:links|posts|articles|topics)|recent (?:posts|comments|articles)"
    r"|(?:in|on) this (?:page|article|chapter))\b"
    r"|^(?:menu|navigation|search|links?|(?:table of )?contents?|categor(?:y|ies)|archives?|tags?|comments?|share"
    r"|contact(?: us)?|about us|index|home|next|previous"
    rf"|sign ?(?:in|up)|log ?in|register|cookies?|advertising|{END_MATTER})\W*$",
    re.IGNORECASE,
)
IS_END_MATTER = re.compile(rf"(?:{END_MATTER})\W*", re.IGNORECASE)
MAX_NAVIGATION_CHARS = 60  # a longer header is a sentence that happens to contain such a word
MIN_LINK_SHARE = 0.5  # of the characters of a section
SENTENCE_END = re.compile(r"\s(?<=[.!?]\s)\s*")  # beginning with white space, the rarer character, is twice as fast
# Code between two fences, each alone on its line except for a list's bullet and a language's name; the second is at
# least as long as the first (CommonMark). Valid in Python and in Java.
FENCED = r"(?<![^\n])[ \t]*(?:(?:-|-?\d+\.) )?(`{3,})[^`\n]*(?=\n)(?s:.*?)(?:\n[ \t]*\1`*[ \t]*(?![^\n])|(?![\s\S]))"
CODE = re.compile(FENCED)
WORD = re.compile(r"\w+")
MIN_SENTENCE_WORDS = 5  # "See below." twice is no repetition


def header_fault(header: str) -> str | None:
    """Return `empty_header`, `uppercase_header` or `navigation_header`; None for a header that passes."""
    if not header:
        return "empty_header"
    if header.isupper():
        return "uppercase_header"
    return "navigation_header" if is_navigation(header) else None


def is_navigation(header: str) -> bool:
    """Return whether a header names a part of a page that is not its text, such as navigation or references."""
    return len(header) <= MAX_NAVIGATION_CHARS and NAVIGATION.search(header) is not None


def is_end_matter(header: str, link_share: float) -> bool:
    """Return whether a section inside a larger one is not part of its text.

    Some headers suffice: see also, leave a reply. Others (tags, comments, index) may name the subject of
    a manual's section, and count only if the section consists mostly of links.
    """
    if not is_navigation(header):
        return False
    return link_share >= MIN_LINK_SHARE or IS_END_MATTER.fullmatch(header) is not None


def is_repetitive(text: str, ngram: int, max_jaccard: float) -> bool:
    """Return whether two sentences of a text have a Jaccard similarity of word n-grams above `max_jaccard`.

    Code and tables, whose lines naturally resemble each other, are ignored.
    """
    seen: list[set[tuple[str, ...]]] = []
    all_seen: set[tuple[str, ...]] = set()
    for sentence in sentences(text):
        words = WORD.findall(sentence.lower())
        if len(words) < max(MIN_SENTENCE_WORDS, ngram):
            continue
        grams = set(zip(*(words[i:] for i in range(ngram)), strict=False))
        n_before = len(all_seen)
        all_seen |= grams
        n_repeated = len(grams) - (len(all_seen) - n_before)
        may_repeat = n_repeated > max_jaccard * len(grams)
        for other in seen if may_repeat else ():
            # The ratio of the sizes is an upper bound of the similarity.
            if min(len(grams), len(other)) <= max_jaccard * max(len(grams), len(other)):
                continue
            shared = len(grams & other)
            if shared > max_jaccard * (len(grams) + len(other) - shared):
                return True
        seen.append(grams)
    return False


def sentences(text: str) -> list[str]:
    """Split the prose of a segment into sentences and lines; code, tables and headers are removed."""
    prose = CODE.sub("\n", text) if "```" in text else text
    lines = (line for line in prose.split("\n") if not line.startswith(("|", "#")))
    return [sentence for line in lines for sentence in SENTENCE_END.split(line) if sentence]
