"""Which language a text is in: py3langid behind one function, so that another can take its place."""

from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

SHORT = 512  # characters; a shorter text is read whole
STRETCH = 64  # characters


def identify_language(text: str) -> tuple[str, float]:
    """The ISO 639-1 code and its probability."""
    return language_of_all(sample(text))


def sample(text: str) -> str:
    """Every other stretch of the text, which costs half: of one in two languages neither can be missed."""
    if len(text) < SHORT:
        return text
    return "".join(text[start : start + STRETCH] for start in range(0, len(text), 2 * STRETCH))


def language_of_all(text: str) -> tuple[str, float]:
    """Code and probability by every character."""
    code, probability = _identifier().classify(text)
    return str(code), float(probability)


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
