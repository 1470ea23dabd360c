"""Read a rewriter's reply, and find the reason to drop a rewritten response."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from rapidfuzz.distance import Indel

from transforms.pages.language import identify_prose
from transforms.prompting.prompts import CLOSING, OPENING
from transforms.rewriting.grounding import Support, grounding, unsupported_share

PARSER = "rewrites/1"
"""Version of parsing, reasons and grounding in this package."""
UNPARSED = "unparsed"
REASONS = ("unchanged", "refusal", "too_short", "too_long", "language", "mentions_source", "ungrounded")
"""In the order of application: the first that holds is the reason."""

# Without bounds, whose automaton would be large: the token limit ends an endless answer. [[ cannot stand inside.
BETWEEN_MARKERS = rf"{re.escape(OPENING)}\n(?:[^\[ \n]|\[[^\[])(?:[^\[]|\[[^\[])*\n{re.escape(CLOSING)}"
"""The grammar of the second request to a rewriter whose reply had no markers."""

# Control tokens of chat templates: ChatML and Llama 3, DeepSeek, Llama 2, Gemma; and an end token at the end.
CHAT_TOKEN = re.compile(
    r"<\|[\w.-]{1,40}\|>|<\uff5c[^\uff5c<>\n]{1,40}\uff5c>|\[/?INST\]|<</?SYS>>|</?(?:start|end)_of_turn>"
    r"|<(?:bos|eos|pad)>|^\s*<s>|</s>\s*$"
)

SAME_TEXT = 0.98
"""Least Indel similarity of a response that counts as the unchanged segment."""

REFUSAL_CHARS = 300
"""Characters at the beginning of a response that are searched for a refusal; later, such words are part of the text."""
REFUSAL = re.compile(
    r"\b(?:i(?:'m| am) (?:very |so |really )?sorry|(?:i|we) apologi[sz]e|my apologies|as an ai\b|i(?:'m| am) an ai\b"
    r"|i (?:can ?not|can't|could not|couldn't|am unable to|'m unable to|am not able to|'m not able to|won't|will not"
    r"|must decline to) (?:help|assist|answer|provide|fulfil|fulfill|comply|create|rewrite|write|generate|complete"
    r"|continue|do that|edit|improve|respond)"
    r"|i(?:'m| am) (?:unable|not able) to|sorry, (?:but )?i\b|unfortunately, i (?:can|am|'m|do))"
)
TEXT = r"(?:web ?text|web ?page|text|passage|article|excerpt|snippet)"
PAGE = r"(?:page|document|post|blog|paragraph|segment|material)"
SAYS = (
    r"(?:says|said|states|stated|mentions|mentioned|describes|described|explains|explained|discusses|provides|notes"
    r"|suggests|recommends|does not|doesn't|contains|lists|covers|emphasi[sz]es|highlights)"
)
BY = r"(?:according to|based on|as (?:stated|mentioned|described|noted|explained|outlined) in)"
GIVEN = r"(?:provided|given|supplied|above)"
REPORTED = re.compile(
    rf"\b(?:{BY} (?:the|this|that|your) {TEXT}|the {GIVEN} (?:{TEXT}|{PAGE})|(?:the|this) {TEXT} {SAYS}"
    rf"|{TEXT} {GIVEN}|information {GIVEN}|{GIVEN} information)\b"
)
"""Phrases that only the reader of a given text uses."""
MENTIONED = re.compile(
    rf"\b(?:this (?P<this>{TEXT}|{PAGE})|in the (?P<inside>{TEXT})|{BY} (?:the|this) (?P<by>{PAGE}|source|author)"
    rf"|(?:the|this) (?P<says>{PAGE}|author) {SAYS}|the (?P<the>web ?text|web ?page|passage|article|excerpt))\b"
)
"""Phrases that may also refer to a text that the segment is about."""
SPACES = re.compile(r"\s+")


class Settings(Protocol):
    """The recipe's settings for rewritten responses."""

    @property
    def language(self) -> str | None:
        """ISO 639-1 code of the corpus; None for all languages."""
        ...

    @property
    def min_length_share(self) -> float:
        """Least length of a response as a share of the segment's, in characters."""
        ...

    @property
    def max_length_share(self) -> float:
        """Greatest length of a response as a share of the segment's, in characters."""
        ...

    @property
    def max_unsupported(self) -> float:
        """Greatest share of the sentences with a claim that the segment does not support."""
        ...


class Reply(NamedTuple):
    """The answer between a reply's markers; if it cannot be read, None and the detail of `unparsed`."""

    response: str | None
    detail: str | None = None


def samplings(temperature: float, max_tokens: int) -> tuple[dict[str, Any], ...]:
    """Return the ways to sample a rewriting; the second is for replies that the first left unparsed."""
    free = {"temperature": temperature, "max_tokens": max_tokens}
    return free, free | {"regex": BETWEEN_MARKERS}


def parsed(reply: str) -> Reply:
    """Return the text between the two markers of a reply, which may have other text around them.

    Details: `empty reply`, `chat token`, `no opening marker`, `two opening markers`, `never closed`,
    `two closing markers`, `closed before opened`, `empty answer`.
    """
    if not reply.strip():
        return Reply(None, "empty reply")
    if CHAT_TOKEN.search(reply):
        return Reply(None, "chat token")
    n_opened, n_closed = reply.count(OPENING), reply.count(CLOSING)
    if n_opened != 1:
        return Reply(None, "two opening markers" if n_opened else "no opening marker")
    if n_closed != 1:
        return Reply(None, "two closing markers" if n_closed else "never closed")
    before, _, rest = reply.partition(OPENING)
    if CLOSING in before:
        return Reply(None, "closed before opened")
    response = rest.partition(CLOSING)[0].strip()
    return Reply(response) if response else Reply(None, "empty answer")


def rejection(
    segment: str, instruction: str, response: str, settings: Settings, supports: Sequence[Support] | None = None
) -> str | None:
    """Return the first of `REASONS` not to use a response, or None; `supports` is its `grounding`, if known.

    `unchanged`: it is the segment apart from white space and 2 % of the characters. `refusal`: it begins with a
    refusal that the segment does not have. `too_short`, `too_long`: its length, as a share of the segment's, is
    outside the settings' limits. `language`: its prose is in another language; a response with little prose passes.
    `mentions_source`: it mentions the text that it was made from, in words that neither segment nor instruction has.
    `ungrounded`: the segment supports too few of its sentences with a claim.
    """
    if is_same(segment, response):
        return "unchanged"
    if refuses(segment, response):
        return "refusal"
    if len(response) < settings.min_length_share * len(segment):
        return "too_short"
    if len(response) > settings.max_length_share * len(segment):
        return "too_long"
    if settings.language and identify_prose([response])[0][0] not in (settings.language, None):
        return "language"
    if mentions_source(f"{instruction}\n{segment}", response):
        return "mentions_source"
    supports = grounding(segment, response) if supports is None else supports
    return "ungrounded" if unsupported_share(supports) > settings.max_unsupported else None


def is_same(segment: str, response: str) -> bool:
    """Return whether a response is the segment apart from white space and a few characters."""
    one, other = SPACES.sub(" ", segment).strip(), SPACES.sub(" ", response).strip()
    return one == other or Indel.normalized_similarity(one, other, score_cutoff=SAME_TEXT) >= SAME_TEXT


def refuses(segment: str, response: str) -> bool:
    """Return whether a response begins with a refusal that the segment does not have."""
    said = _plain(segment)
    return any(refusal[0] not in said for refusal in REFUSAL.finditer(_plain(response[:REFUSAL_CHARS])))


def mentions_source(source: str, response: str) -> bool:
    """Return whether a response mentions a source text, in words that the source does not have.

    `source` is the segment with the instruction. A phrase of `MENTIONED` passes if the source has its noun anywhere.
    """
    said, answer = _plain(source), _plain(response)
    if any(mention[0] not in said for mention in REPORTED.finditer(answer)):
        return True
    return any(mention[mention.lastgroup or 0] not in said for mention in MENTIONED.finditer(answer))


def _plain(text: str) -> str:
    return SPACES.sub(" ", text).replace("\u2019", "'").lower()
