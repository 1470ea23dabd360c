"""The APIs of model servers: how a request is put to one, and how its reply is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from model_ops.client.capabilities import LABELS, TEXT, Facts, Request, Tokens, capability_of
from model_ops.client.engine import Answer
from model_ops.client.replies import (
    ABSURD,
    choice_of,
    json_of,
    log_probability,
    require_probabilities,
    shown,
    token_count,
)
from model_ops.text.chat import ChatFormat

# Without these a server takes the values of the model's generation_config.json, which no request records.
NO_DEFAULTS = {"top_k": 0, "min_p": 0, "repetition_penalty": 1, "presence_penalty": 0, "frequency_penalty": 0}
N_LIKELIEST = 20
"""The most tokens whose log-probabilities a chat API returns at one position."""


class AbsurdReplyError(ValueError):
    """A malformed reply from a server that is up."""


@dataclass(frozen=True)
class Call:
    """A request with its token ids, which are empty where the server encodes the text, and the HTTP body."""

    request: Request
    tokens: Tokens
    body: dict[str, Any]


class Api(Protocol):
    """One model, under the name that servers know, and the API that they speak."""

    @property
    def model(self) -> str:
        """The name under which the servers know the model."""
        ...

    @property
    def route(self) -> str:
        """The path of the API below a server's base URL."""
        ...

    def call(self, row: Mapping[str, Any]) -> Call:
        """Build the HTTP request for a row; raise ValueError if the API cannot express it."""
        ...

    def read(self, call: Call, content: bytes, url: str) -> Answer:
        """Read the answer from the body of a reply; raise AbsurdReplyError if it is malformed."""
        ...


@dataclass(frozen=True)
class Completions:
    """vLLM's completions API.

    Prompts are sent as token ids, encoded here in the model's chat format, so that serving and training see the same
    tokens and text from the web cannot form a special token.
    """

    model: str
    chat: ChatFormat
    max_model_len: int
    route: ClassVar[str] = "/completions"

    def call(self, row: Mapping[str, Any]) -> Call:
        """Build the HTTP request for a row.

        Raises:
            ValueError: the prompt leaves no room for an answer, or a label is not one token.
        """
        request = Request.of(row)
        tokens, sampling = Tokens.of(request, self.chat), request.sampling
        room = self.max_model_len - len(tokens.prompt)
        if room < 1:
            raise ValueError(
                f"too long: {len(tokens.prompt):,} prompt tokens, the model takes {self.max_model_len - 1:,}"
            )
        # No seed: batching changes the numbers, so it would not repeat an answer, and on the CPU vLLM 0.32
        # crashes on a seeded request whose prompt is read in chunks. The ledger keeps answers.
        body: dict[str, Any] = {
            "model": self.model,
            "prompt": tokens.prompt,
            "max_tokens": min(sampling.get("max_tokens", 1), room),
            "temperature": sampling.get("temperature", 0),
            "top_p": sampling.get("top_p", 1.0),
            "stop_token_ids": [self.chat.end_id],  # the base model's end token may be another
            **NO_DEFAULTS,
        }
        return Call(request, tokens, body | capability_of(request).body(request, tokens))

    def read(self, call: Call, content: bytes, url: str) -> Answer:
        """Read the answer from a reply.

        Raises:
            AbsurdReplyError: the reply is malformed.
        """

        def read(reply: Any) -> Facts:
            choice = choice_of(reply)
            finish = choice["finish_reason"]
            if finish not in ("stop", "length"):
                raise ValueError(f"the answer has the finish reason {finish!r}")  # a server that is stopping or paused
            facts: Facts = {"text": choice["text"], "finish_reason": finish, **_usage(reply)}
            return facts | capability_of(call.request).read(call.request, call.tokens, choice)

        return _answer(call, content, url, read)


@dataclass(frozen=True)
class ChatCompletions:
    """The chat API that OpenAI and many others speak, for models whose tokenizer we do not have.

    The server renders the messages. It cannot continue an answer, so a prefill is left out, and it constrains nothing.
    """

    model: str
    has_logprobs: bool
    """Whether the API returns log-probabilities. Without them, the label that the model writes has probability 1."""
    route: ClassVar[str] = "/chat/completions"

    def call(self, row: Mapping[str, Any]) -> Call:
        """Build the HTTP request for a row.

        Raises:
            ValueError: it asks for a constrained answer or for the likelihood of a text.
        """
        request = Request.of(row)
        capability, sampling = capability_of(request), request.sampling
        if capability not in (LABELS, TEXT):
            raise ValueError(f"a chat API has no {capability.field}; ask a model that vLLM serves")
        system = [{"role": "system", "content": request.system}] if request.system else []
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [*system, {"role": "user", "content": request.prompt}],
            "max_tokens": sampling.get("max_tokens", 1),
            "temperature": sampling.get("temperature", 0),
            "top_p": sampling.get("top_p", 1.0),
        }
        if capability is LABELS and self.has_logprobs:
            body |= {"logprobs": True, "top_logprobs": N_LIKELIEST}
        return Call(request, Tokens([], 0, {}), body)

    def read(self, call: Call, content: bytes, url: str) -> Answer:
        """Read the answer from a reply; an answer that the server withheld is `refused`.

        Raises:
            AbsurdReplyError: the reply is malformed.
        """

        def read(reply: Any) -> Facts:
            choice = choice_of(_as_completion(reply))
            finish = choice["finish_reason"]
            facts: Facts = {"text": choice["text"], "finish_reason": finish, **_usage(reply)}
            if finish == "content_filter":
                # Without an endpoint it is the request's own refusal, and no fault of the server.
                fault = "the server's content filter withheld the answer"
                return facts | {"status": "refused", "error": fault, "endpoint": None}
            if finish not in ("stop", "length"):
                raise ValueError(f"the answer has the finish reason {finish!r}")
            if capability_of(call.request) is TEXT:
                return facts | TEXT.read(call.request, call.tokens, choice)
            labels = call.request.sampling["labels"]
            found = _label_logprobs(choice, labels) if self.has_logprobs else _written_label(choice["text"], labels)
            return facts | {"status": "ok", "label_logprobs": found}

        return _answer(call, content, url, read)


def _answer(call: Call, content: bytes, url: str, read: Callable[[Any], Facts]) -> Answer:
    """Return the answer with the facts that `read` finds in a reply's JSON value.

    Raises:
        AbsurdReplyError: the reply is malformed.
    """
    try:
        facts: Facts = {"endpoint": url} | read(json_of(content))
    except ValueError as error:
        raise AbsurdReplyError(str(error)) from error
    except ABSURD as error:
        raise AbsurdReplyError(f"{type(error).__name__}: {error}") from error
    return Answer(call.request.request_id, **facts)


def _usage(reply: Mapping[str, Any]) -> Facts:
    usage = reply["usage"]
    return {f"n_{name}": token_count(usage[name], name) for name in ("prompt_tokens", "completion_tokens")}


def _as_completion(reply: Any) -> Any:
    """Return a chat API's reply with the text of its message where a completion has it; None counts as no text."""
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list):
        return reply
    texts = [choice | {"text": choice["message"].get("content") or ""} for choice in choices]
    return reply | {"choices": texts}


def _label_logprobs(choice: Mapping[str, Any], labels: Sequence[str]) -> dict[str, float] | None:
    """Return each label's log-probability as the first token; None if none of them is among the likeliest tokens.

    A label that is not among them gets the log-probability of the least likely one, as in AlpacaEval.
    """
    positions = (choice.get("logprobs") or {}).get("content") or []
    if not positions:
        raise ValueError("no log-probabilities; if the API has none, set `logprobs = false` for this model")
    likeliest: dict[str, float] = {}
    for entry in positions[0]["top_logprobs"]:
        token = str(entry["token"]).strip()
        likeliest[token] = max(likeliest.get(token, float("-inf")), log_probability(entry["logprob"], shown(token)))
    if not set(labels) & set(likeliest):
        return None
    found = {label: likeliest.get(label, min(likeliest.values())) for label in labels}
    require_probabilities(found)
    return found


def _written_label(text: str, labels: Sequence[str]) -> dict[str, float] | None:
    """Return log-probabilities that give the label in `text` all of the probability; None if it is no label."""
    written = text.strip().rstrip(".")
    return {label: 0.0 if label == written else NEVER for label in labels} if written in labels else None


NEVER = -100.0
"""The log-probability of a label that the model did not write."""
