"""Rewritten responses with planted inventions, and how many sentences of each kind the grounding flags."""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.rewritten_texts import TEXTS, Rewritten
from transforms.rewriting.grounding import Support

FAITHFUL = ("kept", "reworded", "shortened", "merged", "pronoun", "paraphrased", "talk")
INVENTED = ("added", "number", "name", "date", "url")
WOVEN = "woven"
"""An invention out of the segment's words, which no comparison of words can find; counted apart."""
SYNONYMS = {
    "about": "roughly",
    "because": "since",
    "newer": "later",
    "use": "employ",
    "kept": "stored",
    "before": "prior to",
    "until": "till",
    "often": "frequently",
    "chiefly": "mainly",
    "many": "numerous",
    "small": "slight",
    "completed": "finished",
    "joined": "entered",
    "permitted": "allowed",
    "wastes": "squanders",
    "place": "put",
    "mix": "combine",
}
NAMES = ("Telford", "Marconi", "Lovelace", "Geneva", "Ontario", "Helsinki", "Babbage", "Edinburgh")
MONTHS = ("January", "February", "March", "April", "May", "August", "October", "November")
NUMBERS = ("seven", "nine", "eleven", "thirteen", "fifteen", "sixty")
URLS = (
    "For more, see https://docs.example.net/guide.",
    "Details are at www.example-help.org/start.",
    "Write to support@example-help.com for more.",
)
LEAD_INS = ("Sure! Here is how it works:", "Here is a short overview:", "Follow these steps:", "Here's the answer:")
CLOSINGS = ("I hope this helps!", "Let me know if you have any questions.", "Good luck!")
DATE = re.compile(r"\d{1,2} (?:December|June|March)|(?:December|June|March)(?: \d{1,2},)?(?= \d{4})")
NAME = re.compile(r"(?<!^)(?<![.`/~])\b[A-Z][a-z]{3,}\b(?!\))|^(?:Barlow|Brunel|Grace|Hopper|Isambard|William)\b")
NUMBER = re.compile(r"(?<![\w.,/-])\d[\d,.]*\d|(?<![\w.,/-])\d(?!\w)|\b(?:four|five|twelve|twenty|second)\b")
THING = re.compile(r"^(?:The \w+|Admission|Parking|Photosynthesis)(?= (?:is|hangs|runs|spans|absorbs)\b)")
CLAUSE = re.compile(r", | because | and | until | when | but ")
MIN_SHORT_WORDS = 5

Piece = tuple[str, str]
"""A sentence, and its kind of `FAITHFUL` or `INVENTED`, or `WOVEN`."""


class Row(NamedTuple):
    """A segment, a response to it, and the pieces of the response with their places."""

    segment: str
    response: str
    pieces: list[tuple[int, int, str]]
    """Start, end and kind."""


def planted(n: int, seed: int = 0) -> list[Row]:
    """Return `n` rows; a row has 4 to 8 sentences, and on average a third of these is invented."""
    rng = random.Random(seed)
    return [_row(TEXTS[number % len(TEXTS)], rng) for number in range(n)]


def flagged(rows: Sequence[Row], judge: Callable[[str, str], Sequence[Support]]) -> dict[str, tuple[int, int]]:
    """Return for each kind the number of flagged pieces and of all; a piece is flagged if a sentence in it is."""
    counts: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        supports = judge(row.segment, row.response)
        for start, end, kind in row.pieces:
            inside = [support for support in supports if support.start < end and support.end > start]
            counts[kind].append(any(support.is_supported is False for support in inside))
    return {kind: (sum(counts[kind]), len(counts[kind])) for kind in (*FAITHFUL, *INVENTED, WOVEN)}


def rate(counts: dict[str, tuple[int, int]], kinds: Sequence[str]) -> float:
    """Return the share of flagged pieces among those of some kinds."""
    return sum(counts[kind][0] for kind in kinds) / sum(counts[kind][1] for kind in kinds)


def _row(text: Rewritten, rng: random.Random) -> Row:
    said = sentences(text.text)
    pieces: list[Piece] = []
    n = rng.randint(4, 8)
    while len(pieces) < n:
        invent = rng.random() < 1 / 3
        piece = _invented(text, said, rng) if invent else _faithful(text, said, rng)
        if piece and piece[0] not in {known for known, _ in pieces}:
            pieces.append(piece)
    return _laid_out(text.text, pieces, rng)


def sentences(text: str) -> list[str]:
    """Return the sentences of a text's prose and list items, without the product's rules, to judge these."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    lines = [line.removeprefix("- ") for line in prose.split("\n") if line and not line.startswith("#")]
    return [sentence for line in lines for sentence in re.split(r"(?<=[.?!]) ", line) if not sentence.endswith(":")]


def _faithful(text: Rewritten, said: list[str], rng: random.Random) -> Piece | None:
    kind = rng.choice(FAITHFUL[:-1])
    sentence = rng.choice(said)
    if kind == "paraphrased":
        return rng.choice(text.faithful), kind
    if kind == "merged":
        other = rng.choice([one for one in said if one != sentence])
        return f"{sentence[:-1]}, and {_lowered(other)}", kind
    edited = EDITS[kind](sentence) if kind in EDITS else sentence
    return (edited, kind) if kind == "kept" or edited != sentence else None


def _invented(text: Rewritten, said: list[str], rng: random.Random) -> Piece | None:
    kind = rng.choice((*INVENTED, WOVEN))
    if kind == WOVEN:
        return rng.choice(text.woven), kind
    if kind == "added":
        return rng.choice(text.invented), kind
    if kind == "url":
        return rng.choice(URLS), kind
    pattern = {"number": NUMBER, "name": NAME, "date": DATE}[kind]
    places = [place for sentence in (*said, *text.faithful) for place in pattern.finditer(sentence)]
    if not places:
        return None
    place = rng.choice(places)
    sentence = place.string
    other = {"number": _other_number, "name": _other_name, "date": _other_date}[kind](place[0], text.text, rng)
    return sentence[: place.start()] + other + sentence[place.end() :], kind


def _other_number(number: str, text: str, rng: random.Random) -> str:
    if not number[0].isdigit():
        return rng.choice([word for word in NUMBERS if word not in text])
    known = set(re.findall(r"\d+", text))
    while True:
        other = re.sub(r"\d", lambda _: str(rng.randint(2, 9)), number)
        if not set(re.findall(r"\d+", other)) & known and float(other.replace(",", "")) > 1:
            return other


def _other_name(name: str, text: str, rng: random.Random) -> str:
    return rng.choice([other for other in NAMES if other not in text])


def _other_date(date: str, text: str, rng: random.Random) -> str:
    day, month = re.search(r"\d+", date), re.search(r"[A-Z]\w+", date)
    assert month
    if day and rng.random() < 0.5:
        return date.replace(day[0], str(rng.choice([d for d in range(2, 28) if str(d) not in text])))
    return date.replace(month[0], rng.choice(MONTHS))


def _lowered(sentence: str) -> str:
    first = sentence.split()[0]
    return sentence if first[1:].lower() != first[1:] or NAME.match(sentence) else sentence[0].lower() + sentence[1:]


def _reworded(sentence: str) -> str:
    pattern = re.compile(rf"\b(?:{'|'.join(SYNONYMS)})\b", re.IGNORECASE)
    return pattern.sub(lambda m: SYNONYMS[m[0].lower()].capitalize() if m[0][0].isupper() else SYNONYMS[m[0]], sentence)


def _shortened(sentence: str) -> str:
    ends = [m.start() for m in CLAUSE.finditer(sentence) if len(sentence[: m.start()].split()) >= MIN_SHORT_WORDS]
    return f"{sentence[: ends[0]]}." if ends else sentence


def _pronoun(sentence: str) -> str:
    sentence = THING.sub("It", sentence)
    return re.sub(r"^(?:Brunel|Grace Brewster Murray Hopper)\b", "They", sentence)


EDITS = {"reworded": _reworded, "shortened": _shortened, "pronoun": _pronoun}


def _laid_out(segment: str, pieces: list[Piece], rng: random.Random) -> Row:
    """Join the pieces as prose, paragraphs or a list, perhaps with words before and after."""
    mark = rng.choice(["", "- ", "{}. ", "* "])
    gap = "\n" if mark else rng.choice([" ", "\n\n"])
    parts: list[Piece] = [("\n\n", "")]
    for number, piece in enumerate(pieces, 1):
        parts += [(mark.format(number), ""), piece, (gap, "")]
    if rng.random() < 0.5:
        parts = [(rng.choice(LEAD_INS), "talk"), *parts]
    if rng.random() < 0.5:
        parts = [*parts, ("\n\n", ""), (rng.choice(CLOSINGS), "talk")]
    response, placed = "", []
    for text, kind in parts:
        if kind:
            placed.append((len(response), len(response) + len(text), kind))
        response += text
    return Row(segment, response, placed)
