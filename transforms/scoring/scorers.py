"""The scorers: what each asks of which model about a pair, on which scale, and how its answers are sampled."""

from dataclasses import dataclass
from typing import Any, Literal

from transforms.prompting.prompts import ADDITIVE, BACKWARD, EXPECTED, FORWARD, RUBRIC, Template

LABELS = ["1", "2", "3", "4", "5"]
END = ""
"""The label of a turn that ends: nothing more is said."""
# The last line is forced by the grammar, so that a rating always parses, however the model rambles.
WRITTEN = r"[^\n]{1,%d}\nScore: [%d-%d]"


@dataclass(frozen=True)
class Scorer:
    """One way to rate a pair.

    `answer` says where the rating is: in the last line that the model has `written`, in the
    probabilities of the `labels` 1 to 5, in the `likelihood` of one side of the pair, given the
    other and alone, or in that of the `end` of the turn after the response. `direction` is that of
    the model which is asked.
    """

    name: str
    template: Template
    answer: Literal["written", "labels", "likelihood", "end"]
    direction: Literal["backward", "forward"] = "forward"
    scale: tuple[int, int] | None = None

    @property
    def tagged(self) -> bool:
        """Whether it asks a forward model for what it was trained on, under the system message of its training."""
        return self.direction == "forward" and self.answer in ("likelihood", "end")


SCORERS = {
    scorer.name: scorer
    for scorer in (
        Scorer("rubric", RUBRIC, "written", scale=(1, 5)),
        Scorer("additive", ADDITIVE, "written", scale=(0, 5)),
        Scorer("expected", EXPECTED, "labels", scale=(1, 5)),
        Scorer("likelihood_gain", FORWARD, "likelihood"),
        Scorer("ending", FORWARD, "end"),
        Scorer("backward_gain", BACKWARD, "likelihood", direction="backward"),
    )
}


def score_sampling(scorer: Scorer, *, temperature: float, rationale_chars: int, constrained: bool) -> dict[str, Any]:
    """The sampling parameters of a scorer's requests; `constrained` forces a written rating's last line."""
    if scorer.answer == "labels":
        return {"temperature": 0.0, "max_tokens": 1, "labels": LABELS}
    if scorer.answer == "end":
        return {"temperature": 0.0, "max_tokens": 1, "labels": [END]}
    if scorer.answer == "likelihood":
        return {"temperature": 0.0, "max_tokens": 1}
    assert scorer.scale is not None
    # A token has at least one character: the grammar's bound ends the answer, not the token limit.
    sampling = {"temperature": temperature, "max_tokens": rationale_chars + 16}
    return sampling | ({"regex": WRITTEN % (rationale_chars, *scorer.scale)} if constrained else {})
