"""Pairs of known quality: held-out seed pairs, unchanged and degraded in several ways, and a user's labelled pairs.

A pair's `pair_id` is `known/<origin>/<kind>/<group>/<digest of both texts>`. Kind `true` is
good, every other kind is bad; the versions of one pair share its group.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Literal

Kind = Literal["mismatched", "cut", "hollowed", "cluttered"]
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
SeedPair = tuple[str, str, str, str]
"""source, pair_id, instruction, response."""
Pair = tuple[str, str, str]
"""pair_id, instruction, response."""


def spoilt(pairs: Iterable[SeedPair], kinds: Sequence[Kind]) -> Iterator[Pair]:
    """Yield each pair unchanged, and one degraded version for each kind.

    `mismatched`: with the next instruction of the same source, so that the topic alone does not give it
    away. `cut`: without the second half of the response; `hollowed`: without its middle half;
    `cluttered`: with navigation text below it.
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
    return f"{text.rstrip()}\n\n{CLUTTER[hashlib.sha256(text.encode()).digest()[0] % len(CLUTTER)]}"


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
