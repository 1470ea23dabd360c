"""Pairs of known quality: held-out seed pairs, unchanged and degraded in several ways, and a user's labelled pairs.

A pair's `pair_id` is `known/<origin>/<kind>/<group>/<digest of both texts>`. Kind `true` is
good, every other kind is bad; the versions of one pair share its group.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Literal, TypeVar

Kind = Literal["mismatched", "cut", "hollowed", "cluttered", "leaked", "contradicted"]
OF_SEED = "known/seed/"
OF_FILE = "known/file/"
TRUE = "true"
CLUTTER = (
    "Home | About | Documentation | Download | Contact\nPrevious page  Next page  Table of contents\n"
    "Privacy policy  Terms of use",
    "You are here: Home > Docs > FAQ\nSearch  Log in  Register\nShare this page: Twitter  Facebook  E-mail\n"
    "Subscribe to our newsletter!",
    "Next  Up  Previous  Contents  Index\nReport a bug  Edit this page  Show source\nAll rights reserved.",
)
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")
LEAST_WORDS = 5  # of a sentence that `leaked` repeats
NUMBER = re.compile(r"(?<![\w.,])\d+(?!\w)")
NEGATED = re.compile(
    r"\b(?:(ca)(?:nnot|n['\u2019]t)"
    r"|(is|are|was|were|can|could|will|would|should|must|may|do|does|did|has|have)( not|n['\u2019]t)?)\b",
    re.IGNORECASE,
)
NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][\w-]*\w")
SeedPair = tuple[str, str, str, str]
"""source, pair_id, instruction, response."""
Pair = tuple[str, str, str]
"""pair_id, instruction, response."""
Change = tuple[int, int, str]
"""Start and end of a piece of a text, and the text to put in its place."""
T = TypeVar("T")


def spoilt(pairs: Iterable[SeedPair], kinds: Sequence[Kind]) -> Iterator[Pair]:
    """Yield each pair unchanged, and one degraded version for each kind.

    `mismatched`: with the next instruction of the same source, so that the topic alone does not give it
    away. `cut`: without the second half of the response; `hollowed`: without its middle half;
    `cluttered`: with navigation text below it. `leaked`: with one of the response's sentences in the instruction;
    `contradicted`: with one number, negation or name of the response changed. A pair without a sentence or a place
    to change has no such version.
    """
    for _, members in groupby(sorted(pairs), key=lambda pair: pair[0]):
        ring = list(members)
        for place, (_, pair_id, instruction, response) in enumerate(ring):
            versions = {
                TRUE: (instruction, response),
                "mismatched": (ring[(place + 1) % len(ring)][2], response),
                "cut": (instruction, cut(response)),
                "hollowed": (instruction, hollowed(response)),
                "cluttered": (instruction, cluttered(response)),
                "leaked": (leaked(instruction, response), response),
                "contradicted": (instruction, contradicted(response)),
            }
            for kind in (TRUE, *kinds):
                if kind == TRUE or versions[kind] != versions[TRUE]:
                    yield _pair(OF_SEED, kind, pair_id, *versions[kind])


def kind_of(pair_id: str) -> str:
    """Return the kind in a known pair's id: `true`, or the way in which it is spoilt."""
    return pair_id.split("/")[2]


def cut(text: str) -> str:
    """Return the first half of the words."""
    words = re.findall(r"\s*\S+", text)
    return "".join(words[: -(-len(words) // 2)])


def hollowed(text: str) -> str:
    """Return the first and the last quarter of the words."""
    words = re.findall(r"\s*\S+", text)
    quarter = -(-len(words) // 4)
    return "".join(words[:quarter] + words[max(quarter, len(words) - quarter) :])


def cluttered(text: str) -> str:
    """Append the navigation of a web page, chosen by a hash of the text."""
    return f"{text.rstrip()}\n\n{_chosen(CLUTTER, text)}"


def leaked(instruction: str, response: str) -> str:
    """Append a sentence of the response to the instruction, chosen by a hash of the response.

    Sentences of fewer than five words and those that the instruction already has are left out. If no sentence
    remains, the instruction stays as it is.
    """
    sentences = [
        sentence
        for sentence in SENTENCE_END.split(response.strip())
        if len(sentence.split()) >= LEAST_WORDS and sentence not in instruction
    ]
    return f"{instruction.rstrip()} {_chosen(sentences, response)}" if sentences else instruction


def contradicted(text: str) -> str:
    """Change one number, one negation or one name; a hash of the text chooses which of these, then the place.

    A number gets another first digit. A verb such as `is` or `can` gets a `not`, or loses it. A name, which is a
    capitalised word within a sentence, becomes another name of the text. A text without any of them stays as it is.
    """
    sorts = [changes for changes in (_other_numbers(text), _other_negations(text), _other_names(text)) if changes]
    if not sorts:
        return text
    start, end, new = _chosen(_chosen(sorts, text), f"place in {text}")
    return text[:start] + new + text[end:]


def _other_numbers(text: str) -> list[Change]:
    return [(m.start(), m.start() + 1, str(int(m[0][0]) % 9 + 1)) for m in NUMBER.finditer(text)]


def _other_negations(text: str) -> list[Change]:
    return [
        (m.start(), m.end(), f"{m[1]}n" if m[1] else m[2] if m[3] else f"{m[2]} not") for m in NEGATED.finditer(text)
    ]


def _other_names(text: str) -> list[Change]:
    names = sorted({m[0] for m in NAME.finditer(text)})
    following = dict(zip(names, names[1:] + names[:1], strict=True))
    return [(m.start(), m.end(), following[m[0]]) for m in NAME.finditer(text) if len(names) > 1]


def _chosen(items: Sequence[T], text: str) -> T:
    """Return the item that a hash of the text chooses."""
    return items[int.from_bytes(hashlib.sha256(text.encode()).digest()[:1]) % len(items)]


def labelled(lines: Iterable[str]) -> Iterator[Pair]:
    """Yield the pairs in JSON lines with `instruction`, `response` and `label` (true: a good pair, false: a bad one).

    Raises:
        ValueError: a line is anything else; the message gives its number and the reason.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            instruction, response, label = row["instruction"], row["response"], row["label"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"line {number}: no JSON object with instruction, response and label: {error}") from error
        if not isinstance(instruction, str) or not isinstance(response, str) or not isinstance(label, bool):
            raise ValueError(f"line {number}: instruction and response must be texts, label true or false")
        try:
            (instruction + response).encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"line {number}: a text has an unpaired surrogate: {error}") from error
        yield _pair(OF_FILE, TRUE if label else "false", _digest(response), instruction, response)


def _pair(origin: str, kind: str, group: str, instruction: str, response: str) -> Pair:
    return f"{origin}{kind}/{group[:16]}/{_digest(instruction, response)}", instruction, response


def _digest(*texts: str) -> str:
    return hashlib.sha256("\u001f".join(texts).encode()).hexdigest()[:16]
