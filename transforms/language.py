"""Which language a text is in: py3langid behind one function, so that another can take its place."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from py3langid.langid import MODEL_FILE, LanguageIdentifier

TOGETHER = 256  # texts of like length that are walked over in step


def identify_languages(texts: Sequence[str]) -> list[tuple[str, float]]:
    """Of each text the ISO 639-1 code (`zxx`: none) and its probability."""
    return _identifier().classify_all(texts)


class _InStep(LanguageIdentifier):  # type: ignore[misc]
    """py3langid walks over a text byte by byte in Python; over many texts at once it gives the same numbers sooner."""

    def __init__(self, *model: object, **settings: object) -> None:
        super().__init__(*model, **settings)
        self._weights: NDArray[np.float32] = self.nb_ptc.astype(np.float32)  # converted for every text otherwise
        self._moves = np.frombuffer(self.tk_nextmove, np.uint32)
        self._rows, self._output = np.array(self._rowbase), np.array(self.tk_output)

    def classify_all(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        encoded = [self._encode(text) for text in texts]
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
        found: dict[int, tuple[str, float]] = {}
        for start in range(0, len(order), TOGETHER):
            group = order[start : start + TOGETHER]
            for i, features in zip(group, self._walk([encoded[i] for i in group]), strict=True):
                self._features = features
                code, probability = self.classify(texts[i])
                found[i] = str(code), float(probability)
        return [found[i] for i in range(len(texts))]

    def _walk(self, texts: Sequence[bytes]) -> list[NDArray[np.int64]]:
        """The features that the automaton meets in each text, in order."""
        lengths = [len(text) for text in texts]
        letters = np.zeros((max(lengths), len(texts)), np.int64)
        for column, text in enumerate(texts):
            letters[: len(text), column] = np.frombuffer(text, np.uint8)
        states = np.zeros((len(letters) + 1, len(texts)), np.int64)
        for at, letter in enumerate(letters):
            states[at + 1] = self._moves[self._rows[states[at]] + letter]
        met = self._output[states[1:]].T
        return [features[:n][features[:n] >= 0] for features, n in zip(met, lengths, strict=True)]

    def _raw_score(self, text: bytes) -> NDArray[np.float32]:
        if not len(self._features):
            return np.zeros(len(self.nb_classes), np.float32)
        features, first, counts = np.unique(self._features, return_index=True, return_counts=True)
        order = np.argsort(first)  # in which py3langid adds them up
        scores: NDArray[np.float32] = self.nb_pc + (
            np.log1p(counts[order].astype(np.float32)) @ self._weights[features[order]]
        )
        return scores


@cache
def _identifier() -> _InStep:
    loaded: _InStep = _InStep.from_model_file(MODEL_FILE, norm_probs=True)
    return loaded
