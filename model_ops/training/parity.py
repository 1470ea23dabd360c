"""Short greedy answers of a trained model, which a server of the model must repeat."""

from collections.abc import Sequence
from typing import Any

import torch

from model_ops.devices import Dtype
from model_ops.training.dataset import Example

MAX_PROMPTS, MAX_TRIES, MAX_TOKENS = 3, 12, 16
CLEAR = {"float32": 0.5, "bfloat16": 1.5}
"""Lead of a token's logit over the next best: below it, another kernel's rounding may choose the other token."""


def reference_answers(model: Any, examples: Sequence[Example], end_id: int, dtype: Dtype) -> list[dict[str, list[int]]]:
    """Answer the shortest prompts greedily, and return each prompt with its answer as token ids.

    An answer ends before the first token that does not lead clearly; a prompt without any answer is left out. `model`
    is the trained one of this process, computed in `dtype` as in the training.
    """
    answers: list[dict[str, list[int]]] = []
    for example in sorted(examples, key=lambda e: (len(e.prompt), e.example_id))[:MAX_TRIES]:
        if tokens := _greedy(model, example.prompt, end_id, CLEAR[dtype]):
            answers.append({"prompt": example.prompt, "tokens": tokens})
        if len(answers) == MAX_PROMPTS:
            break
    return answers


def _greedy(model: Any, prompt: list[int], end_id: int, lead: float) -> list[int]:
    tokens: list[int] = []
    while len(tokens) < MAX_TOKENS:
        ids = torch.tensor([[*prompt, *tokens]], device=model.device)
        with torch.no_grad():
            best = model(input_ids=ids, logits_to_keep=1, use_cache=False).logits[0, -1].float().topk(2)
        token = int(best.indices[0])
        if token == end_id or best.values[0] - best.values[1] < lead:
            break
        tokens.append(token)
    return tokens
