"""Which language a text is in: py3langid behind one function, so that another can take its place."""

from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier


def identify_language(text: str) -> tuple[str, float]:
    """The ISO 639-1 code and its probability."""
    code, probability = _identifier().classify(text)
    return str(code), float(probability)


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
