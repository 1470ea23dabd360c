"""The scorers: most ask a model with a prompt and read a kind of answer; the others compute a score without a model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.prompting.prompts import ADDITIVE, BACKWARD, EXPECTED, FORWARD, RUBRIC, Template
from transforms.scoring.answer_kinds import AnswerKind, Ending, Labels, Likelihood, Question, Settings, Written
from transforms.scoring.leaks import METHOD_VERSION, leak_of


@dataclass(frozen=True)
class Scorer:
    """One way to have a model rate a pair: a template, the kind of answer, and the direction of the scoring model."""

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


@dataclass(frozen=True)
class ModelFreeScorer:
    """One way to rate a pair without a model: a column over `pair_id`, `instruction` and `response`, 0 to 1.

    `score` takes the recipe's `random_seed`, and uses it if the scorer is `seeded`. The rows carry the id of the model
    that the other scorers ask, because scores are looked up by model.
    """

    name: str
    version: str
    score: Callable[[str], Column]
    seeded: bool = False
    scale: ClassVar[tuple[float, float]] = (0.0, 1.0)
    direction: ClassVar[Literal["forward"]] = "forward"

    def requests_per_pair(self, settings: Settings) -> int:
        """Return 0."""
        return 0


def _leak_free(_: str) -> Column:
    return 1 - leak_of(F.col("instruction"), F.col("response"))


def _random(seed: str) -> Column:
    """Return a uniformly distributed number from 0 to below 1: the first 52 bits of a hash."""
    digest = F.sha2(F.concat_ws(":", F.lit(seed), "pair_id"), 256)
    return F.conv(F.substring(digest, 1, 13), 16, 10).cast("double") / 2**52


SCORERS: dict[str, Scorer | ModelFreeScorer] = {
    scorer.name: scorer
    for scorer in (
        Scorer("rubric", RUBRIC, Written((1, 5))),
        Scorer("additive", ADDITIVE, Written((0, 5))),
        Scorer("expected", EXPECTED, Labels((1, 5))),
        Scorer("likelihood_gain", FORWARD, Likelihood()),
        Scorer("ending", FORWARD, Ending()),
        Scorer("backward_gain", BACKWARD, Likelihood(), direction="backward"),
        ModelFreeScorer("leak_free", METHOD_VERSION, _leak_free),
        ModelFreeScorer("random", "random/1", _random, seeded=True),
    )
}


def asking(name: str) -> Scorer:
    """Return a scorer that asks a model.

    Raises:
        TypeError: the scorer asks none, which is a bug in the caller.
    """
    scorer = SCORERS[name]
    if not isinstance(scorer, Scorer):
        raise TypeError(f"the scorer {name} asks no model")
    return scorer
