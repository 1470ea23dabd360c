"""Grounding: find, for each sentence of a rewritten response, the place in the segment that supports it.

A sentence is supported if a few places of the segment hold enough of its content words, and the segment has all of its
numbers, dates, URLs and names. Order, inflection and small differences of spelling are ignored, so an editor may
reorder, merge, shorten and reword. Words that are rare in the segment weigh more than those that it repeats throughout.

The check does not find a negation, a swap of two numbers or of roles ("A taught B"), or a synonym that changes the
meaning. It misses a name in a header or in a label before a colon, and a name that begins a sentence unless something
else shows that it is a name. Capitals identify names, so new nouns count as names in German, which capitalises nouns.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice, pairwise
from math import fsum, log
from typing import NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import Indel

from transforms.rewriting.facts import KnownFacts, facts
from transforms.rewriting.function_words import CLAIMLESS, FUNCTION_WORDS, LEAD_IN, TALK
from transforms.rewriting.sentences import Sentence, folded, sentences, stem, words

SUPPORTED = 0.45
"""Least score of a supported sentence.

Of the sentences of `benchmarks.planted_inventions` this flags 99 % of the added ones and 1.6 % of the paraphrased ones;
0.4 flags 93 % and 1.6 %. Sentences that a rewriter words freely reach 0.1 to 0.9, and about half are flagged: a gate on
their share requires a rewriter to stay close to the text, as its prompt does.
"""
PLACE_WORDS = 40
"""Length of a place in words: two or three sentences, so that a pronoun's name and a list's header are in it."""
WORDS_PER_PLACE = 6
"""Content words of a sentence for each further place of the segment that may support it."""
MAX_PLACES = 4
MIN_NEW_WORDS = 2
"""Words that a further place must add; a single word can be found by chance."""
MAX_UNITS = 32
"""Sentences of the segment that are indexed for a word; further ones are ignored, to bound the time."""
SAME_WORD = 0.8
"""Indel similarity of stems that are one word in two spellings, such as colour and color."""
MIN_FUZZY = 5
"""Least length of a word that is compared by spelling; shorter words resemble too many others."""
MAX_BUCKET = 200
"""Words of a segment with the same two first letters that are compared, to bound the time."""
LEAST_WEIGHT = 0.25
"""Weight of a word that the segment repeats throughout; one that it has once or lacks weighs 1."""
LABEL_CHARS = 60
"""Greatest length of a label before a colon; capitals in a label are not taken for names."""
STEP = re.compile(r"^\W*(?:step|tip|part) \d{1,2}\b", re.IGNORECASE)
"""A label that numbers a part of the answer."""
LABEL = re.compile(r"\W*\*\*(?:[^*\n]{1,60}:\*\*|[^*\n]{1,60}\*\*:)(?=.*\w)")
"""`**Rinsing:**`, a header on the line of its text."""
OPENS_SENTENCE = '.!?:|"\u201c\u2018\u2026'


class Support(NamedTuple):
    """A sentence of a response at `response[start:end]`, and the place of the segment that supports it best."""

    sentence: str
    start: int
    end: int
    source_start: int | None
    """The place is `segment[source_start:source_end]`; None if it shares no content word."""
    source_end: int | None
    score: float
    """Share of the sentence's content words, by weight, that its best places hold, 0 to 1."""
    missing: tuple[str, ...]
    """Numbers, dates, URLs and names that the segment lacks."""
    is_supported: bool | None
    """None for a sentence without a claim, such as a greeting, a header or `Follow these steps:`."""


def grounding(segment: str, response: str) -> list[Support]:
    """Return the support of each sentence of the response, in order; linear in the length of both texts."""
    source = _Source(segment)
    claims = sentences(response)
    names = {folded(word) for claim in claims for word, is_sure in _capitalised(claim) if is_sure}
    return [source.support(claim, names) for claim in claims]


def unsupported_share(supports: Sequence[Support]) -> float:
    """Return the share of the sentences with a claim that are not supported; 0 without such sentences."""
    claims = [support.is_supported for support in supports if support.is_supported is not None]
    return claims.count(False) / len(claims) if claims else 0.0


class _Place(NamedTuple):
    start: int
    end: int
    words: set[str]


class _Unit(NamedTuple):
    """A sentence of the segment, or a part of a long one."""

    start: int
    end: int
    words_before: int
    words_to_end: int


class _Source:
    """A segment, indexed by the stems of its words."""

    def __init__(self, segment: str) -> None:
        self.segment = segment
        self.units: list[_Unit] = []
        self.units_of: dict[str, list[int]] = defaultdict(list)  # stem -> units
        self.vocabulary: set[str] = set()  # folded words, function words included
        self.buckets: dict[str, list[str]] = defaultdict(list)
        self.matches: dict[str, str | None] = {}
        for sentence in sentences(segment):
            self._add(sentence)
        for known in self.units_of:
            if len(known) >= MIN_FUZZY and len(self.buckets[known[:2]]) < MAX_BUCKET:
                self.buckets[known[:2]].append(known)
        self.facts = KnownFacts(segment)
        self.vocabulary.update(folded(word) for word, _ in words(self.facts.rest))

    def _add(self, sentence: Sentence) -> None:
        found = [(folded(word), at) for word, at in words(sentence.text)]
        for first in range(0, len(found), PLACE_WORDS):
            part = found[first : first + PLACE_WORDS]
            last = found[first + PLACE_WORDS][1] if first + PLACE_WORDS < len(found) else len(sentence.text)
            start = sentence.start + (part[0][1] if first else 0)
            number = len(self.units)
            before = self.units[-1].words_to_end if self.units else 0
            self.units.append(_Unit(start, sentence.start + last, before, before + len(part)))
            self.vocabulary.update(word for word, _ in part)
            for known in {stem(word) for word, _ in part if _is_content(word)}:
                if len(self.units_of[known]) < MAX_UNITS:
                    self.units_of[known].append(number)

    @cached_property
    def names_before(self) -> dict[str, list[int]]:
        """Folded word -> the places of the names that it follows, in order."""
        of_segment = sentences(self.segment)
        names = {folded(word) for sentence in of_segment for word, is_sure in _capitalised(sentence) if is_sure}
        places: dict[str, list[int]] = defaultdict(list)
        for sentence in of_segment:
            found = list(words(sentence.text))
            for (word, at), (following, _) in pairwise(found):
                if word[0].isupper() and folded(word) in names:
                    places[folded(following)].append(sentence.start + at)
        return places

    def support(self, claim: Sentence, names: set[str]) -> Support:
        """Return the support of one sentence; `names` are those of the whole response."""
        claimed = facts(STEP.sub("", claim.text))
        label = LABEL.match(claimed.rest)
        said = words(claimed.rest[label.end() if label else 0 :])
        content = dict.fromkeys(stem(word) for word in (folded(word) for word, _ in said) if _is_content(word))
        matched = {word: known for word in content if (known := self._match(word)) is not None}
        weights = {known: self._weight(known) for known in matched.values()}
        places = list(self._places(weights, 1 + len(content) // WORDS_PER_PLACE))
        held = {known for place in places for known in place.words}
        total = fsum(weights[matched[word]] if word in matched else 1.0 for word in content)
        score = fsum(weights[known] for word, known in matched.items() if known in held) / total if total else 1.0
        best = places[0] if places else None
        missing = (*self.facts.lacking(claimed), *self._missing_names(claim._replace(text=claimed.rest), names, best))
        verdict = not missing and score >= SUPPORTED if missing or _claims(claim, content) else None
        start, end = (best.start, best.end) if best else (None, None)
        return Support(claim.text, claim.start, claim.end, start, end, round(score, 4), missing, verdict)

    def _weight(self, known: str) -> float:
        """Return 1 for a word in one unit, and less for a word in several."""
        n = len(self.units) + 1
        return max(log(n / len(self.units_of[known])) / log(n), LEAST_WEIGHT)

    def _match(self, word: str) -> str | None:
        """Return the stem of the segment that is this word, perhaps in another spelling."""
        if word in self.units_of:
            return word
        if word not in self.matches:
            bucket = self.buckets.get(word[:2]) if len(word) >= MIN_FUZZY else None
            scorer = Indel.normalized_similarity
            best = process.extractOne(word, bucket, scorer=scorer, score_cutoff=SAME_WORD) if bucket else None
            self.matches[word] = best[0] if best else None
        return self.matches[word]

    def _places(self, weights: Mapping[str, float], n_places: int) -> Iterator[_Place]:
        """Yield the places that hold the words, each the one that adds most to those before."""
        in_unit: dict[int, set[str]] = defaultdict(set)
        for known in weights:
            for unit in self.units_of[known]:
                in_unit[unit].add(known)
        windows = list(self._windows(sorted(in_unit), in_unit))
        held: set[str] = set()

        def gain(place: _Place) -> tuple[float, int]:
            """Return the weight that a place adds, whatever the order of its set; the shortest place wins a tie."""
            return fsum(weights[known] for known in place.words - held), place.start - place.end

        for number in range(min(n_places, MAX_PLACES)):
            best = max(windows, key=gain, default=None)
            if best is None or len(best.words - held) < (MIN_NEW_WORDS if number else 1):
                return
            held |= best.words
            yield best

    def _windows(self, hits: list[int], in_unit: Mapping[int, set[str]]) -> Iterator[_Place]:
        """Yield, from each unit with a word of the sentence, the place of `PLACE_WORDS` words that begins there."""
        for place, first in enumerate(hits):
            held: set[str] = set()
            last = first
            for unit in islice(hits, place, None):
                if self.units[unit].words_to_end - self.units[first].words_before > PLACE_WORDS and unit > first:
                    break
                if not in_unit[unit] <= held:
                    held |= in_unit[unit]
                    last = unit
            yield _Place(self.units[first].start, self.units[last].end, held)

    def _missing_names(self, claim: Sentence, names: set[str], best: _Place | None) -> Iterator[str]:
        found = list(words(claim.text))
        following = {word: folded(after) for (word, _), (after, _) in pairwise(found)}
        for word, is_sure in dict(_capitalised(claim)).items():
            name = folded(word)
            if not self._is_known_name(name) and (
                is_sure
                or name in names
                or word.endswith(("'s", "\u2019s"))
                or (best and self._stands_for_a_name(following.get(word), best))
            ):
                yield word

    def _stands_for_a_name(self, following: str | None, best: _Place) -> bool:
        """Return whether the segment has a name before the same word: "Ada wrote" where it has "Grace wrote"."""
        places = self.names_before.get(following or "", [])
        at = bisect_left(places, best.start)
        return at < len(places) and places[at] < best.end

    def _is_known_name(self, name: str) -> bool:
        return name in self.vocabulary or name.removesuffix("s") in self.vocabulary or f"{name}s" in self.vocabulary


def _capitalised(sentence: Sentence) -> Iterator[tuple[str, bool]]:
    """Yield the capitalised words of prose and tables, and whether each is certainly a name."""
    if sentence.kind in ("header", "code"):
        return
    text = sentence.text
    label = text.find(":", 0, LABEL_CHARS)
    for word, at in words(text):
        if at < label or len(word) < 2 or not any(c.isupper() for c in word) or not _is_content(folded(word)):
            continue
        before = text[max(at - 8, 0) : at].rstrip(" *_`")
        opens = (not before and at <= 8) or before.endswith(tuple(OPENS_SENTENCE))
        if word[0].isupper() or not opens:
            yield word, not opens or any(c.isupper() for c in word[1:])


def _is_content(word: str) -> bool:
    return len(word) > 1 and word not in FUNCTION_WORDS and word not in TALK and not word.isdigit()


def _claims(claim: Sentence, content: Collection[str]) -> bool:
    """Return whether a sentence makes a claim that the segment can support or not."""
    if claim.kind == "header" or not content:
        return False
    return not (CLAIMLESS.match(claim.text) or (claim.text.endswith(":") and LEAD_IN.search(claim.text)))
