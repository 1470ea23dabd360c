"""The scorers: what each asks of which model about a pair."""

from dataclasses import dataclass
from typing import Literal

from transforms.prompting.prompts import ADDITIVE, BACKWARD, EXPECTED, FORWARD, RUBRIC, Template
from transforms.scoring.answer_kinds import AnswerKind, Ending, Labels, Likelihood, Question, Settings, Written


@dataclass(frozen=True)
class Scorer:
    """One way to rate a pair: a template, the kind of answer it asks for, and the direction of the model asked."""

    name: str
    template: Template
    kind: AnswerKind
    direction: Literal["backward", "forward"] = "forward"

    @property
    def scale(self) -> tuple[float, float] | None:
        """The ends of its scale, None where one of them is open."""
        low, high = self.kind.bounds
        return None if low is None or high is None else (low, high)

    @property
    def question(self) -> Question:
        """What is asked about a pair."""
        return self.kind.question(self.template, "response" if self.direction == "forward" else "instruction")

    @property
    def tagged(self) -> bool:
        """Whether it asks a forward model under the system message of its training; a backward one has none."""
        return self.direction == "forward" and self.kind.as_trained

    def requests_per_pair(self, settings: Settings) -> int:
        """How many requests the rating of one pair takes, where none of them is answered yet."""
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
