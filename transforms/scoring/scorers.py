"""The scorers: each pairs a prompt with a kind of answer and a model."""

from dataclasses import dataclass
from typing import Literal

from transforms.prompting.prompts import ADDITIVE, BACKWARD, EXPECTED, FORWARD, RUBRIC, Template
from transforms.scoring.answer_kinds import AnswerKind, Ending, Labels, Likelihood, Question, Settings, Written


@dataclass(frozen=True)
class Scorer:
    """One way to rate a pair: a template, the kind of answer, and the direction of the scoring model."""

    name: str
    template: Template
    kind: AnswerKind
    direction: Literal["backward", "forward"] = "forward"

    @property
    def scale(self) -> tuple[float, float] | None:
        """The ends of the scale; None if one of them is open."""
        low, high = self.kind.bounds
        return None if low is None or high is None else (low, high)

    @property
    def question(self) -> Question:
        """The question about a pair."""
        return self.kind.question(self.template, "response" if self.direction == "forward" else "instruction")

    @property
    def tagged(self) -> bool:
        """True if requests carry the system message of the forward model's training; a backward model has none."""
        return self.direction == "forward" and self.kind.as_trained

    def requests_per_pair(self, settings: Settings) -> int:
        """Return the number of requests to rate one pair, before any of them is answered."""
        return len(self.question.prompts) * self.kind.samples(settings)


SCORERS = {
    scorer.name: scorer
    for scorer in (
        Scorer("rubric", RUBRIC, Written((1, 5))),
        Scorer("additive", ADDITIVE, Written((0, 5))),
        Scorer("expected", EXPECTED, Labels((1, 5))),
        Scorer("likelihood_gain", FORWARD, Likelihood()),
        Scorer("ending", FORWARD, Ending()),
        Scorer("backward_gain", BACKWARD, Likelihood(), direction="backward"),
    )
}
