"""Synthetic segments with the word frequencies and lengths of real pieces, and copies of known similarity."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations

SHINGLE_WORDS = 5
CROWD_WORDS = 220


@dataclass(frozen=True)
class Corpus:
    """Texts, and their families: lists of the places in `texts` of segments copied from one another."""

    texts: list[str]
    families: list[list[int]]


def planted(pieces: Sequence[str], n: int, crowd: int = 0, seed: int = 42) -> Corpus:
    """Generate `n` segments, `crowd` of which are one page with three words changed at a random place.

    Of the rest about seven in ten have no copy. The others are exact copies, near copies of one text
    (Jaccard 0.6 to 1), and chains in which each is near the one before (0.8 to 0.95).
    """
    rng = random.Random(seed)
    counts = Counter(word for piece in pieces for word in piece.split())
    vocabulary, ends = list(counts), list(accumulate(counts.values()))
    lengths = [len(piece.split()) for piece in pieces]

    def draw(n: int) -> list[str]:
        return rng.choices(vocabulary, cum_weights=ends, k=n)

    def edited(words: list[str], jaccard: float) -> list[str]:
        """Replace a run of words so that the Jaccard (n - gone) / (n + gone) of n shingles is about `jaccard`."""
        n_shingles = len(words) - SHINGLE_WORDS + 1
        run = max(round(n_shingles * (1 - jaccard) / (1 + jaccard)) - SHINGLE_WORDS + 1, 1)
        start = rng.randrange(len(words) - run + 1)
        return [*words[:start], *draw(run), *words[start + run :]]

    def family() -> Iterator[list[str]]:
        words = draw(rng.choice(lengths))
        yield words
        kind = rng.random()
        for _ in range(rng.randrange(1, 5) if kind > 0.87 else 0):
            if kind < 0.90:
                yield words
            elif kind < 0.97:
                yield edited(words, rng.uniform(0.6, 1))
            else:
                words = edited(words, rng.uniform(0.8, 0.95))
                yield words

    texts: list[str] = []
    families: list[list[int]] = []
    page = draw(CROWD_WORDS)
    for _ in range(crowd):
        start = rng.randrange(CROWD_WORDS - 2)
        texts.append(" ".join([*page[:start], *draw(3), *page[start + 3 :]]))
    while len(texts) < n:
        members = [" ".join(words) for words in family()][: n - len(texts)]
        families.append(list(range(len(texts), len(texts) + len(members))))
        texts += members
    order = rng.sample(range(n), n)
    places = {old: new for new, old in enumerate(order)}
    return Corpus([texts[i] for i in order], [[places[i] for i in f] for f in families if len(f) > 1])


def pairs_at_least(corpus: Corpus, min_jaccard: float) -> list[tuple[int, int]]:
    """Return all pairs within a family with a Jaccard similarity of at least `min_jaccard`."""
    pairs = []
    for family in corpus.families:
        sets = {i: shingles(corpus.texts[i]) for i in family}
        pairs += [(a, b) for a, b in combinations(family, 2) if jaccard(sets[a], sets[b]) >= min_jaccard]
    return pairs


def shingles(text: str) -> set[tuple[str, ...]]:
    """Return the runs of five words, without the product's hashes and regular expressions, to judge these."""
    words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    return {tuple(words[i : i + SHINGLE_WORDS]) for i in range(max(len(words) - SHINGLE_WORDS + 1, 1))}


def jaccard(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> float:
    """Return the size of the intersection over the size of the union."""
    return len(one & other) / len(one | other)
