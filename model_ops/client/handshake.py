"""What a server must prove before the first request: vLLM ignores fields it does not know, with HTTP 200."""

from model_ops.client.capabilities import CAPABILITIES, Capability, Tokens
from model_ops.client.endpoint import Endpoint, EndpointError
from model_ops.client.replies import ABSURD, choice_of
from model_ops.text.chat import ChatFormat


class HandshakeError(EndpointError):
    """A server that answers, but does not serve the model or ignores something that we rely on."""


def probe(endpoint: Endpoint, model: str, chat: ChatFormat) -> int:
    """Prove that `model` is served with every capability; its longest context in tokens.

    Raises:
        HandshakeError: names the server and the first thing that it does not do.
        EndpointError: it does not answer, or refuses what it is asked.
    """
    served = endpoint.served_models()
    if model not in served:
        names = ", ".join(sorted(served)) or "nothing"
        raise HandshakeError(f"{endpoint.url} does not serve {model}; it serves {names}")
    for capability in CAPABILITIES:
        if fault := _fault(endpoint, model, chat, capability):
            raise HandshakeError(f"{endpoint.url} ignores {capability.field}: {fault}")
    if not served[model]:
        raise HandshakeError(f"{endpoint.url} does not say max_model_len of {model}")
    return served[model]


def _fault(endpoint: Endpoint, model: str, chat: ChatFormat, capability: Capability) -> str | None:
    """What is wrong with the answer to a capability's probe, None if nothing is."""
    request = capability.probe
    if request is None:
        return None
    ids = chat.prompt_ids(request.system, request.prompt, request.prefill)
    # Any two tokens are labels here, which a server would hardly name unasked, and all but the first token a span.
    tokens = Tokens(ids, boundary=1, labels={"one": ids[0], "other": ids[1]})
    body = {"model": model, "prompt": ids, "temperature": 0, "max_tokens": request.sampling["max_tokens"]}
    reply = endpoint.call("/completions", body | capability.body(request, tokens))
    try:
        choice = choice_of(reply)
        facts = capability.read(request, tokens, choice)
    except ABSURD as error:
        return str(error)
    return None if facts["status"] == "ok" else f"it wrote {choice['text'][:80]!r}"
