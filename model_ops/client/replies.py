"""What an HTTP reply means, and the numbers that a sound one can hold: the same for all calls of a server."""

import json
import math
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

from schemas.bronze import LOGPROB_SLACK, MOST_LABEL_MASS

# What reading a senseless reply raises.
ABSURD = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, OverflowError)
NO_PROBABILITY = -9999.0
"""What vLLM writes for a log-probability of minus infinity, which JSON does not have."""
MOST_TOKENS = 2**31 - 1
LONGEST_WAIT = 60.0
SHOWN = 200  # characters of a reply in a message


class Meaning(Enum):
    """What a reply says of the server, the request and the settings."""

    ANSWER = auto()
    REFUSED = auto()
    """The request is at fault; the same request is refused again."""
    MISFIT = auto()
    """The address, the key or the model is wrong: no request to this server can succeed."""
    BUSY = auto()
    """No answer yet, or none at all: the server or a gateway before it has too much to do, or is about to be back."""
    TROUBLED = auto()
    """The server is there and fails at this request, or answers nonsense."""


MISFITS = {401, 402, 403, 404, 405, 407, 410, 421, 501, 505}
PUT_OFF = {408, 425, 429}


def meaning(status: int) -> Meaning:
    """What an HTTP status means; a redirect is a misfit, since the key is for the named host alone."""
    if 200 <= status < 300:
        return Meaning.ANSWER
    if 300 <= status < 400 or status in MISFITS:
        return Meaning.MISFIT
    if status in PUT_OFF or status > HTTPStatus.INTERNAL_SERVER_ERROR:
        return Meaning.BUSY
    return Meaning.REFUSED if 400 <= status < 500 else Meaning.TROUBLED


def seconds_to_wait(retry_after: str | None) -> float | None:
    """The seconds of a `Retry-After` header, at most `LONGEST_WAIT`; None for a date, which our own back-off serves."""
    try:
        seconds = float(retry_after or "nan")
    except ValueError:
        return None
    return min(seconds, LONGEST_WAIT) if seconds >= 0 else None


def json_of(content: bytes | str) -> Any:
    """The JSON value in a reply.

    Raises:
        ValueError, RecursionError: there is none; `NaN` and `Infinity`, which Python would read, are no JSON.
    """
    try:
        return json.loads(content, parse_constant=_no_number)
    except UnicodeDecodeError:
        raise ValueError(f"no JSON but {shown(content)}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON but {shown(content)}: {error}") from None


def _no_number(literal: str) -> None:
    raise ValueError(f"{literal} is no JSON number")


def choice_of(reply: Any) -> dict[str, Any]:
    """The completion in a reply of vLLM's API, whose text is one that can be stored.

    Raises:
        ValueError: there is none, or several.
    """
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict) or reply.get("error"):
        raise ValueError(f"no completion but {shown(json.dumps(reply))}")
    text = choices[0].get("text")
    if not isinstance(text, str):
        raise ValueError(f"the text is {shown(json.dumps(text))}")
    text.encode()  # half a surrogate pair is no text, and would end the job where it is stored
    return choices[0]


def token_count(value: Any, what: str) -> int:
    """A number of tokens, as the ledger can hold it.

    Raises:
        ValueError: it is none.
    """
    if type(value) is not int or not 0 <= value <= MOST_TOKENS:
        raise ValueError(f"{what} is {shown(repr(value))}, which is no number of tokens")
    return value


def log_probability(value: Any, of: str) -> float:
    """A log-probability, nats; what rounding has carried above 0 is 0.

    Raises:
        ValueError: it is no number, infinite, or of a probability above 1.
    """
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"the log-probability of {of} is {shown(repr(value))}, which is no number")
    if value > LOGPROB_SLACK:
        raise ValueError(f"the log-probability of {of} is {value:g}: a probability above 1")
    return min(float(value), 0.0)


def require_probabilities(logprobs: dict[str, float]) -> None:
    """Check that the log-probabilities of different tokens in one place can be true.

    One of them may be as good as impossible; not all, for then nothing is known of what the model would say.

    Raises:
        ValueError: together they have no probability, or one above 1.
    """
    mass = math.fsum(map(math.exp, logprobs.values()))
    if not 0 < mass <= MOST_LABEL_MASS:
        raise ValueError(f"the {len(logprobs)} labels have a probability of {mass:g} together: {shown(str(logprobs))}")


def shown(content: bytes | str) -> str:
    """The beginning of what a server said, for a message."""
    text = content[: 4 * SHOWN].decode(errors="replace") if isinstance(content, bytes) else content
    return repr(text[:SHOWN])


def without_key(text: str, key: str | None) -> str:
    """A message that may repeat what a server said, without the key that it was shown."""
    return text.replace(key, "***") if key else text
