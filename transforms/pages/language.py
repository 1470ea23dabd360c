"""Which language the prose of each text is in: py3langid behind one function, so that another can take its place.

Code, checksums, addresses and other words with digits or signs are left out: they look like any language. A text with
too little prose to tell (a name over a listing) has no language, and is not in the wrong one: other rules judge it.

py3langid walks a text byte by byte in Python. Here many texts are walked at once, the next byte of each
at every step, and the verdicts are those of its own `LanguageIdentifier.classify`.

fastText's lid.176.ftz judges documentation as well: it drops 2 of 2,801 English pieces (here 4) and keeps 9 of 3,938
others (here 11). Of 6,642 passages of the Declaration of Human Rights in other languages, many of them rare, it keeps
767 as English (here 14), and it takes twice the CPU time (`python -m benchmarks.language`).
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

TEXTS = 512  # walked at once
INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`)[^\n]*?(?<!`)\1(?!`)")
# Of ASCII, so that a sentence without spaces keeps all but its numbers. First what may be in a word, all at once.
NO_WORDS = re.compile(r"(?<![!-~])[!-.:;?A-\[\]`a-z|]*+(?:[\d_/\\=<>{}@^~][!-~]*+|(?<=[!-~]{24}))")
SURE = 0.3  # headings of a few English words come out at up to 0.2, in any language


def identify_prose(texts: Sequence[str]) -> list[tuple[str, float] | tuple[None, None]]:
    """The ISO 639-1 code of each text's prose and its probability; None twice where too little of it is prose."""
    found = identify_languages([prose(text) for text in texts])
    return [(code, score) if score >= SURE else (None, None) for code, score in found]


def prose(text: str) -> str:
    """The text without code and what else is no word of a language."""
    if "`" in text:
        text = INLINE_CODE.sub("", CODE.sub("\n", text))
    return NO_WORDS.sub("", text)


def identify_languages(texts: Sequence[str]) -> list[tuple[str, float]]:
    """The ISO 639-1 code of each text and its probability."""
    return [
        verdict for at in range(0, len(texts), TEXTS) for verdict in _identifier().classify_all(texts[at : at + TEXTS])
    ]


class _Identifier:
    """py3langid's naive Bayes over the byte sequences that its automaton finds."""

    def __init__(self) -> None:
        self.model = model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        self.row = np.asarray(model.tk_row, np.intp) * 256  # of a state: where its moves by byte begin
        self.moves = np.asarray(model.tk_nextmove)
        self.feature = np.asarray(model.tk_output, np.int32)  # of a state, -1 for none
        self.weights = model.nb_ptc.astype(np.float32)  # of a feature by language

    def classify_all(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """What `classify` gives for each text."""
        encoded = sorted(((self.model._encode(text), n) for n, text in enumerate(texts)), key=lambda e: -len(e[0]))
        counts = self._feature_counts([bytes_ for bytes_, _ in encoded])
        scores = counts.log1p() @ self.weights + self.model.nb_pc
        scores[counts.sum(axis=1) == 0] = 0  # every language alike
        scores /= np.sqrt([[len(bytes_) or 1] for bytes_, _ in encoded], dtype=np.float32)
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
        for label, alias in self.model._alias_pairs:
            scores[:, label] += scores[:, alias]
            scores[:, alias] = 0
        best = scores.argmax(axis=1)
        found = {n: (self.model.nb_classes[b], float(s[b])) for (_, n), b, s in zip(encoded, best, scores, strict=True)}
        return [found[n] for n in range(len(texts))]

    def _feature_counts(self, texts: Sequence[bytes]) -> csr_array:
        """How often each text, the longest first, holds each feature: texts x features."""
        longest = len(texts[0])
        padded = np.frombuffer(b"".join(text.ljust(longest, b"\0") for text in texts), np.uint8)
        columns = np.ascontiguousarray(padded.reshape(len(texts), longest).T)
        n_left = len(texts) - np.searchsorted([len(text) for text in reversed(texts)], range(longest), side="right")
        found = np.full((longest, len(texts)), -1, np.int32)
        states: npt.NDArray[Any] = np.zeros(len(texts), np.intp)
        for letters, features, n in zip(columns, found, n_left, strict=True):
            states = self.moves[self.row[states[:n]] + letters[:n]]
            features[:n] = self.feature[states]
        at, text = np.nonzero(found >= 0)
        ones = np.ones(len(at), np.float32)
        return csr_array((ones, (text, found[at, text])), shape=(len(texts), len(self.weights)))


@cache
def _identifier() -> _Identifier:
    return _Identifier()
