"""Identify the language of the prose of each text, with py3langid behind one function so that it can be replaced.

Code, checksums, addresses and other words with digits or signs are ignored: they resemble any language. A text with
too little prose (a name over a listing) gets no language rather than a wrong one: other rules judge it.

py3langid walks a text byte by byte in Python. Here many texts are walked at once, one byte of each per step, with the
same results as `LanguageIdentifier.classify`.

fastText's lid.176.ftz is as good on documentation: it drops 2 of 2,801 English pieces (py3langid 4) and keeps 9 of
3,938 others (11). Of 6,642 passages of the Declaration of Human Rights in other languages, many of them rare, it keeps
767 as English (14), and it takes twice the CPU time (`python -m benchmarks.language`).
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from py3langid.langid import MODEL_FILE, LanguageIdentifier
from scipy.sparse import csr_array

from transforms.pages.segment_rules import CODE

TEXTS = 512  # per batch
INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`)[^\n]*?(?<!`)\1(?!`)")
# ASCII only, so that a sentence without spaces loses only its numbers. The possessive first part skips plain letters.
NO_WORDS = re.compile(r"(?<![!-~])[!-.:;?A-\[\]`a-z|]*+(?:[\d_/\\=<>{}@^~][!-~]*+|(?<=[!-~]{24}))")
SURE = 0.3  # headings of a few English words get up to 0.2, for any language


def identify_prose(texts: Sequence[str]) -> list[tuple[str, float] | tuple[None, None]]:
    """Return the ISO 639-1 code of each text's prose and its probability; (None, None) for too little prose."""
    verdicts = identify_languages([prose(text) for text in texts])
    return [(code, score) if score >= SURE else (None, None) for code, score in verdicts]


def prose(text: str) -> str:
    """Remove code and other words that belong to no language."""
    if "`" in text:
        text = INLINE_CODE.sub("", CODE.sub("\n", text))
    return NO_WORDS.sub("", text)


def identify_languages(texts: Sequence[str]) -> list[tuple[str, float]]:
    """Return the ISO 639-1 code of each text and its probability."""
    return [
        verdict for at in range(0, len(texts), TEXTS) for verdict in _identifier().classify_all(texts[at : at + TEXTS])
    ]


class _Identifier:
    """py3langid's naive Bayes over the byte sequences that its automaton finds."""

    def __init__(self) -> None:
        self.model = model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        self.row = np.asarray(model.tk_row, np.intp) * 256  # state -> start of its transitions in `moves`
        self.moves = np.asarray(model.tk_nextmove)
        self.feature = np.asarray(model.tk_output, np.int32)  # state -> feature, or -1
        self.weights = model.nb_ptc.astype(np.float32)  # features x languages

    def classify_all(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Return the result of py3langid's `classify` for each text."""
        encoded = sorted(((self.model._encode(text), n) for n, text in enumerate(texts)), key=lambda e: -len(e[0]))
        counts = self._feature_counts([bytes_ for bytes_, _ in encoded])
        scores = counts.log1p() @ self.weights + self.model.nb_pc
        scores[counts.sum(axis=1) == 0] = 0  # no feature: all languages are equally likely
        scores /= np.sqrt([[len(bytes_) or 1] for bytes_, _ in encoded], dtype=np.float32)
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
        for label, alias in self.model._alias_pairs:
            scores[:, label] += scores[:, alias]
            scores[:, alias] = 0
        best = scores.argmax(axis=1)
        verdicts = {
            n: (self.model.nb_classes[b], float(s[b])) for (_, n), b, s in zip(encoded, best, scores, strict=True)
        }
        return [verdicts[n] for n in range(len(texts))]

    def _feature_counts(self, texts: Sequence[bytes]) -> csr_array:
        """Count each feature in each text, which come longest first; the shape is texts x features."""
        longest = len(texts[0])
        padded = np.frombuffer(b"".join(text.ljust(longest, b"\0") for text in texts), np.uint8)
        columns = np.ascontiguousarray(padded.reshape(len(texts), longest).T)
        n_left = len(texts) - np.searchsorted([len(text) for text in reversed(texts)], range(longest), side="right")
        seen = np.full((longest, len(texts)), -1, np.int32)
        states: npt.NDArray[Any] = np.zeros(len(texts), np.intp)
        for letters, features, n in zip(columns, seen, n_left, strict=True):
            states = self.moves[self.row[states[:n]] + letters[:n]]
            features[:n] = self.feature[states]
        at, text = np.nonzero(seen >= 0)
        ones = np.ones(len(at), np.float32)
        return csr_array((ones, (text, seen[at, text])), shape=(len(texts), len(self.weights)))


@cache
def _identifier() -> _Identifier:
    return _Identifier()
