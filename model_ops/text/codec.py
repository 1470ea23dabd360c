"""Text to token ids and no way out: what data says is never taken for a special token."""

from functools import lru_cache

from tokenizers import Tokenizer

MARK = "\ufdd0"
"""Driven into data that reads as a special token; a noncharacter, which text does not have."""


class ChatFormatError(ValueError):
    """A tokenizer or chat template that cannot be used, or data that would break out of it."""


@lru_cache(maxsize=4)
def codec_of(tokenizer: str) -> "Codec":
    """The codec of the contents of a `tokenizer.json`, built once per process."""
    return Codec(tokenizer)


class Codec:
    """A tokenizer that can tell its special tokens from text that only looks like them."""

    def __init__(self, text: str) -> None:
        """`text` is the contents of a `tokenizer.json`."""
        self.tokenizer, self.literal = Tokenizer.from_str(text), Tokenizer.from_str(text)
        self.literal.encode_special_tokens = True
        for tokenizer in (self.tokenizer, self.literal):
            tokenizer.no_truncation()
            tokenizer.no_padding()
        added = self.tokenizer.get_added_tokens_decoder()
        self.specials = {number: token.content for number, token in added.items() if token.special}
        # Ordinary text may contain what the tokenizer does not know; that id alone is no escape.
        self.unknown = self.tokenizer.token_to_id(getattr(self.tokenizer.model, "unk_token", None) or "")

    def special(self, ids: list[int]) -> list[int]:
        """The special tokens among them, in order."""
        return [i for i in ids if i in self.specials and i != self.unknown]

    def marked(self, text: str) -> str:
        """The text with MARK driven into whatever reads as a special token; the tokenizer says what does."""
        text = text.replace(MARK, "")
        for _ in range(8):
            encoding = self.tokenizer.encode(text, add_special_tokens=False)
            spans = [
                (start, end)
                for number, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
                if number in self.specials
                and (number != self.unknown or text[start:end].strip() == self.specials[number])
            ]
            if not spans:
                return text
            for start, end in reversed(spans):
                first = start + len(text[start:end]) - len(text[start:end].lstrip()) + 1
                text = text[:first] + MARK + text[first:]
        raise ChatFormatError(f"special tokens in a text of {len(text):,} characters cannot be broken up")

    def encode(self, text: str) -> list[int]:
        """The ids of a text whose special tokens, where not marked, are meant."""
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        if MARK not in text:
            return list(encoding.ids)
        ids, done = [], 0
        for number, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            if number in self.specials and number != self.unknown:
                ids += [*self._unmarked(text[done:start]), number]
                done = end
        return ids + self._unmarked(text[done:])

    def _unmarked(self, text: str) -> list[int]:
        ids = self.literal.encode(text.replace(MARK, ""), add_special_tokens=False).ids
        # A vocabulary may hold a special token as a word of its own; then the text is changed a little.
        spaced = text.replace(MARK, " ")
        return list(self.tokenizer.encode(spaced, add_special_tokens=False).ids if self.special(ids) else ids)
