"""The root verb of an English instruction and its direct object, such as `write` and `story`, found by rules.

The words' forms and classes are those of the SPECIALIST Lexicon, which the package lemminflect carries. The rules know
imperatives ("Write a short story"), polite requests ("Could you please list ...") and questions about how to do
something ("How do I install the driver?"). Other sentences have no root verb here: questions such as "What is ...",
statements and headings.

Measured by hand on 120 instructions from six public sets (the user-oriented ones and the seed tasks of Self-Instruct,
Koala, Vicuna, two of OpenAssistant) that had no part in writing the rules: 63 of 66 root verbs and 51 of 55 objects
were right, and 5 requests were missed. Two rules were corrected afterwards, which fixed the three verbs.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

METHOD_VERSION = "root_verbs/1"
MAX_CHARS, MAX_SENTENCES = 1000, 3  # the request is at the beginning; the text that it is about may follow


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SENTENCE = re.compile(r"[.!?:;]+(?=\s|$)|\n+|^[\W\d_]+")
_TOKEN = re.compile(r"\w+(?:[-'.]\w+)*|[^\w\s]")
_LEAD_IN = re.compile(
    r"(?:(?:please|kindly|now|then|next|first|also|just|so|ok(?:ay)?|hi|hello|hey|and|but|hey there|\w+ly)\b[\s,]*)+"
)
_REQUEST = re.compile(
    r"(?:(?:can|could|would|will) you|(?:i|we)(?:(?:'d| would) like| want| need) you to|"
    r"how (?:to|(?:do|can|should|could|would|might) (?:i|you|we|one|people|someone)|(?:i|you|we) can)|"
    r"your (?:task|job|goal) is to|you (?:should|must|(?:will )?(?:need|have) to|are to|will(?: be asked to)?)|"
    r"let's|let us|help me|help us)\b[\s,]*"
    r"(?:(?:please|kindly|also|first|help me|help us|\w+ly)\b[\s,]*)*(?:to\b\s*)?"
)
_DETERMINERS = _set(
    "a an the this that these those my your our their his her its some any all each every both several many more most "
    "few another other one two three four five six seven eight nine ten twelve twenty no what which whose"
)
_PRONOUNS = _set("me us him them you it i we he she they yourself myself itself something anything")
_PREPOSITIONS = _set(
    "about above across after against along among around as at before behind below beneath beside between beyond by "
    "despite during except for from in inside into like near of off on onto out outside over per regarding since than "
    "through throughout till to toward towards under until up upon using via with within without based given"
)
_FINITE = _set("is are was were am has had can could will would shall should may might must")
_CLAUSE = _FINITE | _set(
    "and or but nor so if when whenever where wherever while why who whom how whether because although that which what "
    "be been being do does did have not then there here just also only"
)
_PARTICLES = _set("up out down off")
_NO_IMPERATIVE = _CLAUSE | _PREPOSITIONS | _DETERMINERS | _PRONOUNS | _set("best let long thank")
_FRONTED = _set("as assuming based by for from given if in on once to using when whenever with")
_NO_HEAD = _set("following other same such very own least given please")
_ASKED_FOR = _set(
    "answer brainstorm compare convert design find give help list look make name outline plan pretend rephrase "
    "reply research rewrite show state use"
)
"""Verbs that are also nouns, but begin an imperative even if no determiner follows: "List common uses"."""


class Request(NamedTuple):
    """The root verb and its direct object, both as lower-case lemmas; None without a direct object."""

    verb: str
    object: str | None


def request_of(instruction: str) -> Request | None:
    """Return the request in the first sentence that has one, of the first three; None if none has one."""
    sentences = (part.strip() for part in _SENTENCE.split(instruction[:MAX_CHARS]))
    for sentence in [part for part in sentences if part][:MAX_SENTENCES]:
        if found := _request_in(sentence.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")):
            return found
    return None


def _request_in(sentence: str) -> Request | None:
    """Return the request in one lower-case sentence."""
    first, comma, rest = sentence.partition(",")
    if comma and first.split(" ", 1)[0] in _FRONTED:
        return _request_in(rest.strip())  # "Using the table, compare the two"
    start = lead_in.end() if (lead_in := _LEAD_IN.match(sentence)) else 0
    asked = _REQUEST.match(sentence, start)
    words = _TOKEN.findall(sentence, asked.end() if asked else start)
    if not words or not _is_root(words, asked=asked is not None):
        return None
    if len(words) > 2 and words[1] in ("and", "or", ",") and _lemma(words[2], "VERB") == words[2]:
        return Request(words[0], _object_in(words[3:]))  # "Compare and contrast the two"
    return Request(words[0], _object_in(words[1:]))


def _is_root(words: Sequence[str], asked: bool) -> bool:
    """Return whether the first word is a verb in its base form; if it may be a noun, the next word decides."""
    word, following = words[0], words[1] if len(words) > 1 else ""
    classes = _classes(word)
    if word in _NO_IMPERATIVE or word not in classes.get("VERB", ()):
        return False
    if asked or word in _ASKED_FOR or not classes.keys() - {"VERB", "AUX"}:
        return True
    return following in _DETERMINERS | _PRONOUNS or following.isdigit() or following in ('"', "“", "'", "`")


def _object_in(words: Sequence[str]) -> str | None:
    """Return the lemma of the head of the noun phrase that `words` begin with; the second of two phrases in a row."""
    rest = [*words]
    while rest and rest[0] in _PARTICLES | {"me", "us", "him", "them"}:
        rest = rest[1:]
    found = None
    while rest:
        phrase = [*_phrase(rest)]
        rest = rest[len(phrase) :]
        if rest and rest[0] in _FINITE:
            return found  # the phrase is a subject: "Suppose the universe is infinite"
        head = _head(phrase)
        found = head or found
        if not (head and rest and rest[0] in _DETERMINERS - {"that", "what", "which", "whose"}):
            break
    return found


def _phrase(words: Sequence[str]) -> Iterator[str]:
    """Yield the determiners at the beginning and then the words up to the end of the noun phrase."""
    before = ""
    has_noun = False
    for word in words:
        kinds = _classes(word)
        is_determiner = word in _DETERMINERS or word.isdigit()
        is_joint = word in ("and", "or", ",", '"', "“") and not has_noun  # "a short and simple story"
        is_given = word == "given" and before in _DETERMINERS
        is_outside = word in _PREPOSITIONS | _CLAUSE | _PRONOUNS or not word[0].isalnum()
        if (is_determiner and has_noun) or (is_outside and not (is_joint or is_given)):
            return
        if has_noun and word.endswith(("ed", "ing")) and "VERB" in kinds and "NOUN" not in kinds:
            return  # a clause about the noun before it: "the process used to make steel"
        is_participle = word.endswith("ing") and "NOUN" not in kinds  # "an engaging and short story"
        has_noun = has_noun or not (is_determiner or is_participle or "ADJ" in kinds or _head([word]) is None)
        before = word
        yield word


def _head(phrase: Sequence[str]) -> str | None:
    """Return the lemma of the last noun of a phrase; an unknown word counts as a noun."""
    for word in reversed(phrase):
        if word not in _DETERMINERS | _NO_HEAD and word[0].isalpha() and not word.endswith("'s"):
            kinds = _classes(word)
            if "NOUN" in kinds:
                return _lemma(word, "NOUN")
            if not kinds:
                return word.removesuffix("s") if len(word) > 3 and not word.endswith(("ss", "us", "is")) else word
            if kinds.keys() == {"VERB"} and (word in kinds["VERB"] or word.endswith("ing")):
                return word  # the lexicon lacks some nouns, such as "template"
    return None


def _lemma(word: str, kind: str) -> str | None:
    """Return the lemma of a word as a member of a word class; None if it is not one."""
    return next(iter(_classes(word).get(kind, ())), None)


@cache
def _classes(word: str) -> dict[str, tuple[str, ...]]:
    """Map each word class of a lower-case word to its lemmas; empty for a word that the lexicon lacks."""
    from lemminflect import getAllLemmas  # reads its lexicon, which takes half a second

    classes: dict[str, tuple[str, ...]] = getAllLemmas(word)
    return classes
