"""The meaning of an HTTP reply, and the checks of its numbers, shared by all calls to a server."""

import json
import math
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

from schemas.bronze import LOGPROB_SLACK, MOST_LABEL_MASS

# Exceptions that reading a malformed reply raises.
ABSURD = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, OverflowError)
NO_PROBABILITY = -9999.0
"""vLLM's value for a log-probability of minus infinity, which JSON cannot express."""
MOST_TOKENS = 2**31 - 1
LONGEST_WAIT = 60.0
SHOWN = 200  # characters of a reply in a message


class Meaning(Enum):
    """The outcome of an HTTP reply, by which a client decides whether and where to retry."""

    ANSWER = auto()
    REFUSED = auto()
    """The request is at fault; a retry is refused again."""
    MISFIT = auto()
    """The address, the key or the model is wrong: no request to this server can succeed."""
    BUSY = auto()
    """No answer yet, or none at all: the server or a gateway in front of it is overloaded or restarting."""
    TROUBLED = auto()
    """The server is up and fails at this request, or sends a malformed reply."""


MISFITS = {401, 402, 403, 404, 405, 407, 410, 421, 501, 505}
PUT_OFF = {408, 425, 429}


def meaning(status: int) -> Meaning:
    """Return the meaning of an HTTP status; a redirect is a misfit, since the key is for the named host alone."""
    if 200 <= status < 300:
        return Meaning.ANSWER
    if 300 <= status < 400 or status in MISFITS:
        return Meaning.MISFIT
    if status in PUT_OFF or status > HTTPStatus.INTERNAL_SERVER_ERROR:
        return Meaning.BUSY
    return Meaning.REFUSED if 400 <= status < 500 else Meaning.TROUBLED


def seconds_to_wait(retry_after: str | None) -> float | None:
    """Return the seconds of a `Retry-After` header, at most `LONGEST_WAIT`; None for a date, which is ignored."""
    try:
        seconds = float(retry_after or "nan")
    except ValueError:
        return None
    return min(seconds, LONGEST_WAIT) if seconds >= 0 else None


def json_of(content: bytes | str) -> Any:
    """Parse a reply as JSON.

    Raises:
        ValueError, RecursionError: it is not JSON; `NaN` and `Infinity`, which Python accepts, are rejected.
    """
    try:
        return json.loads(content, parse_constant=_no_number)
    except UnicodeDecodeError:
        raise ValueError(f"not JSON but {shown(content)}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON but {shown(content)}: {error}") from None


def _no_number(literal: str) -> None:
    raise ValueError(f"{literal} is not a JSON number")


def choice_of(reply: Any) -> dict[str, Any]:
    """Return the only completion in a reply of vLLM's API, with a text that can be encoded in UTF-8.

    Raises:
        ValueError: there is no completion, there are several, or its text cannot be stored.
    """
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict) or reply.get("error"):
        raise ValueError(f"not a completion but {shown(json.dumps(reply))}")
    text = choices[0].get("text")
    if not isinstance(text, str):
        raise ValueError(f"the text is {shown(json.dumps(text))}")
    text.encode()  # a lone surrogate cannot be stored and would end the job
    return choices[0]


def token_count(value: Any, what: str) -> int:
    """Check that `value` is a number of tokens that fits the ledger's 32-bit column, and return it.

    Raises:
        ValueError: it is not; the message calls it `what`.
    """
    if type(value) is not int or not 0 <= value <= MOST_TOKENS:
        raise ValueError(f"{what} is {shown(repr(value))}, which is not a number of tokens")
    return value


def log_probability(value: Any, of: str) -> float:
    """Check a log-probability in nats and return it; a value above 0 within rounding error becomes 0.

    Raises:
        ValueError: it is not a finite number, or the probability is above 1.
    """
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"the log-probability of {of} is {shown(repr(value))}, which is not a number")
    if value > LOGPROB_SLACK:
        raise ValueError(f"the log-probability of {of} is {value:g}: a probability above 1")
    return min(float(value), 0.0)


def require_probabilities(logprobs: dict[str, float]) -> None:
    """Check that the log-probabilities of different tokens at one position are consistent.

    Some labels may have a probability of 0, but not all: then nothing is known of the model's choice.

    Raises:
        ValueError: the probabilities sum to 0, or to more than 1 beyond rounding error.
    """
    mass = math.fsum(map(math.exp, logprobs.values()))
    if not 0 < mass <= MOST_LABEL_MASS:
        raise ValueError(f"the {len(logprobs)} labels have a probability of {mass:g} together: {shown(str(logprobs))}")


def shown(content: bytes | str) -> str:
    """Return the beginning of a server's reply, quoted for a message."""
    text = content[: 4 * SHOWN].decode(errors="replace") if isinstance(content, bytes) else content
    return repr(text[:SHOWN])


def without_key(text: str, key: str | None) -> str:
    """Mask the API key in a message: a server's reply may repeat it."""
    return text.replace(key, "***") if key else text
