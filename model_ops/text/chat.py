"""Encoding of text to token ids in a model's chat template, with the same code for training and inference.

Needs no transformers, so Spark's executors can use it. The trainer, and a request for the likelihood of a text, encode
prompt and completion separately and join the ids: no token spans the boundary, and both see the same tokens.

Servers get token ids and never render a template. If a template has no system message (Gemma) or leaves its text out,
that text stands at the beginning of the user's turn, before an empty line.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from jinja2 import Template, TemplateError, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from model_ops.text.codec import ChatFormatError, codec_of

ANSWER = "humpback-answer"
# Texts that show whether a template writes a message unchanged: both cases, many lines, longer than templates cut at.
SYSTEM, USER = (
    "\n".join(f'{n}. What the {role} says  stands HERE: "as it is", <all> & whole' for n in range(500))
    for role in ("system", "user")
)
TODAY = datetime(2024, 7, 26)  # the default date of Llama 3's template


@dataclass(frozen=True)
class ChatFormat:
    """The tokenizer and chat template of one model, as plain text that can be pickled."""

    tokenizer: str
    """The contents of `tokenizer.json`."""
    template: str
    """The chat template, Jinja."""
    named_tokens: tuple[tuple[str, str], ...]
    """Names and texts of the tokens that the template may use: `eos_token`, `bos_token`, ..."""

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read the chat format of the model in a folder, and try it on plain messages.

        Raises:
            ChatFormatError: the tokenizer or chat template is missing, or does not work.
        """
        folder = Path(folder)
        if not (folder / "tokenizer.json").is_file():
            raise ChatFormatError(f"{folder} has no tokenizer.json; save the model with its fast tokenizer")
        config = json.loads(_text(folder / "tokenizer_config.json") or "{}")
        template = _text(folder / "chat_template.jinja") or _inline_template(config.get("chat_template"))
        if not template:
            raise ChatFormatError(f"{folder} has no chat template; add chat_template.jinja beside tokenizer.json")
        tokens = {k: v["content"] if isinstance(v, dict) else v for k, v in config.items() if k.endswith("_token")}
        named = tuple(sorted((name, token) for name, token in tokens.items() if isinstance(token, str)))
        chat = cls(_text(folder / "tokenizer.json"), template, named)
        try:
            fault = _fault(chat)
        except TemplateError as error:
            raise ChatFormatError(f"{folder}: the chat template fails on a test question: {error}") from error
        if fault:
            raise ChatFormatError(f"{folder}: {fault}")
        return chat

    @property
    def digest(self) -> str:
        """sha256 in hex of everything that determines the tokens."""
        parts = [self.tokenizer, self.template, self.named_tokens]
        return _sha256(json.dumps(parts if _takes_system(self) else [*parts, "system text in the user's turn"]))

    @property
    def template_digest(self) -> str:
        """sha256 in hex of the chat template alone."""
        return _sha256(self.template)

    @property
    def end_id(self) -> int:
        """The end token of the assistant's turn: the last token of a trained completion, and the stop token.

        It is the first special token that the template writes after an answer, else `eos_token`.
        """
        return _end_id(self)

    def prompt_ids(self, system: str, user: str, prefill: str = "") -> list[int]:
        """Encode a prompt up to the point where the model continues; an empty `system` sends no system message.

        If the template takes none, the system text begins the user's turn. `prefill` is the given
        beginning of the answer. Text that looks like a special token is encoded as ordinary text, so
        no data can end or begin a turn.

        Raises:
            ChatFormatError: the text would change the prompt's special tokens all the same, or the template
                refuses it.
        """
        codec = codec_of(self.tokenizer)
        system, user, prefill = (codec.marked(text) for text in (system, user, prefill))
        try:
            ids = codec.encode(_prompt(self, system, user) + prefill)
        except TemplateError as error:
            raise ChatFormatError(f"the chat template refuses a text of {len(user):,} characters: {error}") from error
        if codec.special(ids) != _skeleton(self, bool(system)):
            raise ChatFormatError(f"a text of {len(user):,} characters changes the special tokens of its prompt")
        return ids

    def text_ids(self, text: str) -> list[int]:
        """Encode an answer, or a span whose likelihood is requested, without an end token."""
        codec = codec_of(self.tokenizer)
        return codec.encode(codec.marked(text))

    def completion_ids(self, text: str) -> list[int]:
        """Encode an answer for training, with the end token of the turn."""
        return [*self.text_ids(text), self.end_id]

    def label_id(self, prefill: str, label: str) -> int:
        """Return the single token of `label` after `prefill`; the empty label is the end token of the turn.

        Raises:
            ChatFormatError: the label takes several tokens there, or changes the tokens before it.
        """
        return _label_id(self, prefill, label) if label else self.end_id


@lru_cache(maxsize=4)
def _compiled(template: str) -> Template:
    """Compile a template in an environment like that of transformers, with a fixed date."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _SameDay(name="strftime_now")
    # transformers marks the assistant's text with generation blocks, which have no use here.
    template = re.sub(r"(\{%-?\s*)generation(\s*-?%\})", r"\1if true\2", template)
    return environment.from_string(re.sub(r"(\{%-?\s*)endgeneration(\s*-?%\})", r"\1endif\2", template))


class _SameDay(Undefined):
    """The function `strftime_now` of one fixed date: a prompt must not change from one day to the next.

    Templates that test for the function find it undefined, and use the fixed date that they contain.
    """

    def __call__(self, form: str) -> str:  # type: ignore[override]  # an undefined value never returns
        return TODAY.strftime(form)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)  # Jinja looks up attributes before a call


def _render(chat: ChatFormat, *messages: tuple[str, str], prompt: bool) -> str:
    return _compiled(chat.template).render(
        messages=[{"role": role, "content": content} for role, content in messages],
        tools=None,
        documents=None,
        add_generation_prompt=prompt,
        **dict(chat.named_tokens),
    )


def _prompt(chat: ChatFormat, system: str, user: str) -> str:
    if system and not _takes_system(chat):
        system, user = "", f"{system}\n\n{user}"
    return _render(chat, *([("system", system)] if system else []), ("user", user), prompt=True)


@lru_cache(maxsize=4)
def _takes_system(chat: ChatFormat) -> bool:
    """Return whether the template writes a system message unchanged."""
    try:
        return _holds(_render(chat, ("system", SYSTEM), ("user", USER), prompt=True), SYSTEM)
    except TemplateError:
        return False


def _holds(prompt: str, text: str) -> bool:
    """Return whether the prompt contains the text, plain or as a JSON string."""
    return text in prompt or json.dumps(text, ensure_ascii=False)[1:-1] in prompt


def _fault(chat: ChatFormat) -> str | None:
    """Return the reason why a format cannot be used, or None.

    Raises:
        ChatFormatError: no token ends a turn.
        TemplateError: the template refuses a plain question.
    """
    _prompt(chat, "x", "x")
    chat.prompt_ids("x", "x")
    _end_id(chat)
    if not all(_holds(_prompt(chat, system, USER), USER) for system in ("", "x", SYSTEM)):
        return (
            "the chat template changes, shortens or leaves out the user's message (or the system text, which humpback "
            "puts before it if the template takes none); write message['content'] unchanged in chat_template.jinja"
        )
    if not _ends_of_user(chat):
        return (
            "the chat template puts no special token between the user's message and the answer, so that "
            "a text from the web could end the turn itself; end each turn with a special token, e.g. <|im_end|>"
        )
    return None


@lru_cache(maxsize=8)
def _skeleton(chat: ChatFormat, system: bool) -> list[int]:
    """Return the special tokens that every prompt of this format has, in order."""
    codec = codec_of(chat.tokenizer)
    return codec.special(codec.encode(_prompt(chat, "x" if system else "", "x")))


def _ends_of_user(chat: ChatFormat) -> list[int]:
    """Return the special tokens between the user's text and the beginning of the answer."""
    codec = codec_of(chat.tokenizer)
    return codec.special(codec.encode(_prompt(chat, "", ANSWER).partition(ANSWER)[2]))


@lru_cache(maxsize=4)
def _end_id(chat: ChatFormat) -> int:
    codec = codec_of(chat.tokenizer)
    after = _render(chat, ("user", "x"), ("assistant", ANSWER), prompt=False).partition(ANSWER)[2]
    eos = codec.tokenizer.token_to_id(dict(chat.named_tokens).get("eos_token", ""))
    ends = [*codec.special(codec.encode(after)), *([] if eos is None else [eos])]
    if not ends:
        raise ChatFormatError("the chat template ends no turn with a special token, and there is no eos_token")
    return ends[0]


@lru_cache(maxsize=64)
def _label_id(chat: ChatFormat, prefill: str, label: str) -> int:
    before, after = chat.prompt_ids("", "x", prefill), chat.prompt_ids("", "x", prefill + label)
    if after[:-1] != before:
        raise ChatFormatError(
            f"{label!r} is not a single token after {prefill!r}; try to move a space from one to the other"
        )
    return after[-1]


def _inline_template(entry: Any) -> str:
    """Return the template in `tokenizer_config.json`: a string, or the `default` of a list of named ones."""
    if isinstance(entry, list):
        entry = next((e["template"] for e in entry if e["name"] == "default"), "")
    return entry or ""


def _to_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
