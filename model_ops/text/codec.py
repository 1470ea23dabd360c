"""Encoding of text to token ids in which data never becomes a special token."""

from functools import lru_cache

from tokenizers import Tokenizer

MARK = "\ufdd0"
"""Inserted into data that reads as a special token; a Unicode noncharacter, which text does not contain."""


class ChatFormatError(ValueError):
    """A tokenizer or chat template that cannot be used, or data that would change the special tokens of its prompt."""


@lru_cache(maxsize=4)
def codec_of(tokenizer: str) -> "Codec":
    """Return the codec for the contents of a `tokenizer.json`, cached in the process."""
    return Codec(tokenizer)


class Codec:
    """A tokenizer that distinguishes special tokens from text that looks like them."""

    def __init__(self, text: str) -> None:
        """`text` is the contents of a `tokenizer.json`."""
        self.tokenizer, self.literal = Tokenizer.from_str(text), Tokenizer.from_str(text)
        self.literal.encode_special_tokens = True
        for tokenizer in (self.tokenizer, self.literal):
            tokenizer.no_truncation()
            tokenizer.no_padding()
        added = self.tokenizer.get_added_tokens_decoder()
        self.specials = {number: token.content for number, token in added.items() if token.special}
        # Ordinary text may contain unknown characters; their id is special, but harmless.
        self.unknown = self.tokenizer.token_to_id(getattr(self.tokenizer.model, "unk_token", None) or "")

    def special(self, ids: list[int]) -> list[int]:
        """Return the special tokens among `ids`, in order."""
        return [i for i in ids if i in self.specials and i != self.unknown]

    def marked(self, text: str) -> str:
        """Insert MARK into each part of a text that the tokenizer reads as a special token."""
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
        """Encode a text in which marked special tokens are data and all others are special tokens."""
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
        # A vocabulary may hold a special token as an ordinary word too; then a space replaces the mark.
        spaced = text.replace(MARK, " ")
        return list(self.tokenizer.encode(spaced, add_special_tokens=False).ids if self.special(ids) else ids)
