"""The diversity of instructions: distinct n-grams, root verbs with objects, and the nearest seed instruction.

Words are lower-case and without punctuation, as in `transforms.dedup.shingles`.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_array

from transforms.dedup.shingles import ngrams, words
from transforms.evaluation.root_verbs import Request, request_of
from transforms.scoring.estimates import Floats

SIZES = (1, 2, 3)  # words of an n-gram
N_VERBS, N_OBJECTS = 20, 4  # as in Self-Instruct's figure
BLOCK = 1024  # texts that are compared with all others at once


@dataclass(frozen=True)
class Verb:
    """A root verb, the number of instructions that have it and an object, and its most frequent objects with counts."""

    name: str
    n: int
    objects: tuple[tuple[str, int], ...]


def distinct(sets: Sequence[Sequence[str]], n: int) -> list[tuple[float | None, float | None]]:
    """Return distinct-n of each set of texts, in full and at equal size: its distinct n-grams over all its n-grams.

    Distinct-n falls with the size of a set. At equal size, each set is cut to the number of n-grams of the smallest
    set, in the order of a hash of the texts. A set without n-grams has None.
    """
    runs = [_ngrams(sorted(texts, key=_hash), n) for texts in sets]
    smallest = min((len(found) for found in runs if len(found)), default=0)
    return [(_share_distinct(found), _share_distinct(found[:smallest])) for found in runs]


def _ngrams(texts: Sequence[str], n: int) -> NDArray[np.int64]:
    """Return the hashes of the n-grams of the texts, text after text; a shorter text has none."""
    split = words(pa.array(texts, pa.string()))
    has_any = [len(found or ()) >= n and found != [""] for found in split.to_pylist()]
    runs: NDArray[np.int64] = ngrams(split.filter(pa.array(has_any, pa.bool_())), n).values.to_numpy()
    return runs


def _share_distinct(found: NDArray[np.int64]) -> float | None:
    return len(np.unique(found)) / len(found) if len(found) else None


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def nearest(texts: Sequence[str], others: Sequence[str]) -> Floats:
    """Return each text's highest Jaccard similarity with one of the `others`: words in common over words of either.

    0: no word in common with any; 1: the same words as one of them. Empty texts resemble nothing.
    """
    return _highest(*_matrices(texts, others), is_same=False)


def nearest_within(texts: Sequence[str]) -> Floats:
    """Return each text's highest Jaccard similarity with another one of the texts."""
    return _highest(*_matrices(texts, texts), is_same=True)


def _matrices(texts: Sequence[str], others: Sequence[str]) -> tuple[Any, Any]:
    """Return sparse matrices of both, a row for each text and a column for each word, 1 where it occurs."""
    split: Any = words(pa.array([*texts, *others], pa.string()))
    coded = split.values.dictionary_encode()
    rows = np.repeat(np.arange(len(split)), split.value_lengths().to_numpy())
    cells = np.unique(np.stack([rows, coded.indices.to_numpy()]), axis=1)
    is_word = np.array([word != "" for word in coded.dictionary.to_pylist()], dtype=bool)
    row, column = cells[:, is_word[cells[1]]]
    shape = (len(split), len(is_word))
    matrix = csr_array((np.ones(len(row), dtype=np.float32), (row, column)), shape=shape)
    return matrix[: len(texts)], matrix[len(texts) :]


def _highest(left: Any, right: Any, *, is_same: bool) -> Floats:
    """Return the highest Jaccard similarity of each row of `left` with a row of `right`; 0 without rows.

    With `is_same`, the two have the same rows, and no row is compared with itself.
    """
    left_sizes, right_sizes = (np.asarray(matrix.sum(axis=1)) for matrix in (left, right))
    columns, best = right.T.tocsr(), np.zeros(left.shape[0])
    for start in range(0, left.shape[0] if right.shape[0] else 0, BLOCK):
        common = left[start : start + BLOCK] @ columns  # the number of common words, a cell for each pair with any
        sizes = np.diff(common.indptr)
        here, there = start + np.repeat(np.arange(len(sizes)), sizes), common.indices
        common.data /= left_sizes[here] + right_sizes[there] - common.data
        if is_same:
            common.data[here == there] = 0
        has_any = start + np.flatnonzero(sizes)
        best[has_any] = np.maximum.reduceat(common.data, common.indptr[:-1][sizes > 0]) if len(has_any) else 0
    return best


def requests(texts: Sequence[str]) -> Counter[Request]:
    """Count the requests of the texts that have one."""
    return Counter(request for request in map(request_of, texts) if request)


def verbs(counts: Counter[Request]) -> list[Verb]:
    """Return the `N_VERBS` most frequent root verbs with an object, each with its `N_OBJECTS` most frequent objects.

    Equal counts are in the order of the alphabet.
    """
    of_verb: dict[str, Counter[str]] = {}
    for request, n in counts.items():
        if request.object:
            of_verb.setdefault(request.verb, Counter())[request.object] += n
    found = [Verb(verb, objects.total(), _first(objects)) for verb, objects in of_verb.items()]
    return sorted(found, key=lambda verb: (-verb.n, verb.name))[:N_VERBS]


def _first(objects: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(objects.items(), key=lambda item: (-item[1], item[0]))[:N_OBJECTS])
