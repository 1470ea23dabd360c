"""The kinds of answers that scorers request: the question about a pair, its sampling, and the resulting rating.

A new kind is a new class with the members of `AnswerKind`; no other code lists the kinds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.bronze import LOGPROB_SLACK, MOST_LABEL_MASS
from transforms.prompting.prompts import Template

GIVEN, ALONE = "given", "alone"
END = ""
"""The label that stands for the end of a turn."""
# The grammar forces the last line, so that a rating always parses, however long the model rambles.
WRITTEN = r"[^\n]{1,%d}\nScore: %s"
# Markdown, LaTeX, table bars and brackets may surround the words and the number. Possessive quantifiers do not
# backtrack, so that the time is linear in the reply.
LATEX = r"\\(?:boxed|text(?:bf)?|[(\[])"
START = rf"(?:[^\p{{L}}\p{{N}}\n~\\]|{LATEX})*+"
OPENED = rf"""(?:[\s*_`"'$({{}}\[]|{LATEX})*+"""
CLOSED = r"""(?:[\s*_`"'$)}\]|.!\u3002]|\\[)\]])*+"""
SCALE = r"\s*\((?:%(low)d\s*[-\u2013]|out of)\s*%(high)d\)"
NAME = rf"(?:(?:my|the|final|overall|total)\s+){{0,3}}(?:score|rating)(?:{SCALE})?"
# On one line, or the number on the next.
IS = r"""[\s*_`"'$)}\]|]*+(?:[:\uff1a=\u2192\u2013\u2014]|-(?=\s)|is\b:?|(?<=[\n|][\s*_]{0,6}))"""
LAST_SCORE = (
    rf"(?i)(?:^|\n){START}(?:\d{{1,2}}[.)] {START})?(?:{NAME}{IS}{OPENED}|(?<=\\boxed\{{))"
    rf"(-?\d+(?:\.\d+)?){CLOSED}(?:\(?(?:/|out of)\s*\**%(high)d(?:\.0+)?\)?)?(?:\s*points?\b)?{CLOSED}\z"
)
UNREAD = ("unparsed", "out_of_range", "cut")
"""The statuses of a free answer that a grammar would have prevented."""

Sampling = dict[str, Any]
Target = Literal["instruction", "response"]
"""The side of a pair that the scoring model was trained to write."""
Bounds = tuple[float | None, float | None]


class Settings(Protocol):
    """The recipe's settings for ratings."""

    @property
    def temperature(self) -> float:
        """The temperature of written answers."""
        ...

    @property
    def samples(self) -> int:
        """The number of written answers to one prompt, which are averaged."""
        ...

    @property
    def rationale_chars(self) -> int:
        """The maximum length of the reasoning before a written rating, in characters."""
        ...

    @property
    def constrain(self) -> Literal["always", "unparsed"]:
        """`always` to apply the grammar at once, `unparsed` only after a free answer that cannot be read."""
        ...


class Question(NamedTuple):
    """The question about a pair: prompts by the name of the part, and the side that follows each as a span."""

    prompts: Mapping[str | None, Template]
    span: Target | None = None


class Rating(NamedTuple):
    """The rating from a pair's answers, as aggregate columns over them."""

    score: Column
    status: Column
    label_mass: Column


class AnswerKind(Protocol):
    """The interface of a kind of answer."""

    @property
    def bounds(self) -> Bounds:
        """The lowest and the highest possible score; None for an open end."""
        ...

    @property
    def as_trained(self) -> bool:
        """True if the question has the form of the model's training examples, including the system message."""
        ...

    def question(self, template: Template, target: Target) -> Question:
        """Return the question about a pair for a model that was trained to write its side `target`."""
        ...

    def samplings(self, settings: Settings) -> tuple[Sampling, ...]:
        """Return the ways to sample an answer; each later one is for answers that the previous one left unreadable."""
        ...

    def samples(self, settings: Settings) -> int:
        """Return the number of answers to each prompt."""
        ...

    def rating(self) -> Rating:
        """Return the rating from a pair's answers.

        An answer has the columns `part`, `sample`, `text`, `label_logprobs`, `span_logprob`,
        `span_tokens`, and `answered`: the completion's status, null if it is missing.
        """
        ...


@dataclass(frozen=True)
class Written:
    """A rating on the last line of a written answer, on a scale of whole numbers."""

    scale: tuple[int, int]
    as_trained: ClassVar = False

    def __post_init__(self) -> None:
        """Refuse a scale that does not run from a lower to a higher number."""
        if self.scale[0] >= self.scale[1]:
            raise ValueError(
                f"a scale runs from a lower to a higher number, not from {self.scale[0]} to {self.scale[1]}"
            )

    @property
    def bounds(self) -> Bounds:
        """The ends of the scale."""
        return self.scale

    def question(self, template: Template, target: Target) -> Question:
        """Return one prompt: the template filled with both sides."""
        return Question({None: template})

    def samplings(self, settings: Settings) -> tuple[Sampling, ...]:
        """Return sampling under the grammar, preceded by a free answer unless `constrain` is `always`."""
        # A token has at least one character, so the grammar's bound ends the answer before the token limit does.
        free = {"temperature": settings.temperature, "max_tokens": settings.rationale_chars + 16}
        bound = free | {"regex": WRITTEN % (settings.rationale_chars, one_of(self.scale))}
        return (bound,) if settings.constrain == "always" else (free, bound)

    def samples(self, settings: Settings) -> int:
        """Return the configured number of samples."""
        return settings.samples

    def rating(self) -> Rating:
        """Return the mean of the readable samples."""
        return _mean(written_score(F.col("text"), self.scale), self.bounds)


@dataclass(frozen=True)
class Labels:
    """The mean of a scale's numbers, weighted by their probabilities as the model's answer."""

    scale: tuple[int, int]
    as_trained: ClassVar = False

    def __post_init__(self) -> None:
        """Refuse a scale with numbers of two digits, whose first token other numbers may share."""
        low, high = self.scale
        if not 0 <= low < high <= 9:
            raise ValueError(f"labels must be numbers of one digit; a scale from {low} to {high} has others")

    @property
    def bounds(self) -> Bounds:
        """The ends of the scale."""
        return self.scale

    @property
    def labels(self) -> list[str]:
        """The numbers of the scale."""
        return _numbers(self.scale)

    def question(self, template: Template, target: Target) -> Question:
        """Return one prompt: the template filled with both sides."""
        return Question({None: template})

    def samplings(self, settings: Settings) -> tuple[Sampling, ...]:
        """Return the sampling for the probabilities of the labels as the next token."""
        return (label_sampling(self.labels),)

    def samples(self, settings: Settings) -> int:
        """Return 1: a probability is the same each time."""
        return 1

    def rating(self) -> Rating:
        """Return the expected label, and the probability of all labels together."""
        logprobs = F.col("label_logprobs")
        rating = _mean(expected_label(logprobs, self.labels), self.bounds)
        return rating._replace(label_mass=F.mean(label_mass(logprobs, self.labels)))


@dataclass(frozen=True)
class Likelihood:
    """The gain in log-probability of one side of the pair given the other side, in nats per token."""

    as_trained: ClassVar = True
    bounds: ClassVar[Bounds] = (None, None)

    def question(self, template: Template, target: Target) -> Question:
        """Return two prompts for the target: the template with the other side, and the template without it."""
        return Question({GIVEN: template, ALONE: emptied(template)}, span=target)

    def samplings(self, settings: Settings) -> tuple[Sampling, ...]:
        """Return greedy sampling of one token, which is ignored."""
        return ({"temperature": 0.0, "max_tokens": 1},)

    def samples(self, settings: Settings) -> int:
        """Return 1: a probability is the same each time."""
        return 1

    def rating(self) -> Rating:
        """Return log p(one side | the other) - log p(that side), per token of that side."""
        logprob = sound_logprob(F.col("span_logprob"))
        given, alone = (F.max(F.when(F.col("part") == part, logprob)) for part in (GIVEN, ALONE))
        tokens = F.max("span_tokens")
        score = (given - alone) / F.when(tokens > 0, tokens)
        answered = F.bool_and(F.coalesce(F.col("answered") == "ok", F.lit(False)))
        status = F.when(score.isNotNull(), "ok").when(answered, "unparsed").otherwise("failed")
        return Rating(score, status, _no_mass())


@dataclass(frozen=True)
class Ending:
    """The log-probability, in nats, that the model ends its turn after the side that it was trained to write."""

    as_trained: ClassVar = True
    bounds: ClassVar[Bounds] = (None, 0.0)

    def question(self, template: Template, target: Target) -> Question:
        """Return the template as prompt and the target as its answer, after which the turn may end."""
        return Question({None: template}, span=target)

    def samplings(self, settings: Settings) -> tuple[Sampling, ...]:
        """Return the sampling for the probability of the end as the next token."""
        return (label_sampling([END]),)

    def samples(self, settings: Settings) -> int:
        """Return 1: a probability is the same each time."""
        return 1

    def rating(self) -> Rating:
        """Return the log-probability of the end."""
        end = sound_logprob(F.col("label_logprobs")[END])
        return _mean(F.when(F.exp(end) > 0, end), self.bounds)


def one_of(scale: tuple[int, int]) -> str:
    """Return a regular expression that matches exactly the whole numbers of a scale."""
    low, high = scale
    return f"[{low}-{high}]" if 0 <= low < high <= 9 else f"({'|'.join(_numbers(scale))})"


def label_sampling(labels: list[str]) -> Sampling:
    """Return the sampling that gives the log-probabilities of single-token answers."""
    return {"temperature": 0.0, "max_tokens": 1, "labels": labels}


def written_score(reply: Column, scale: tuple[int, int]) -> Column:
    """Parse the rating on the last line of a reply; null if there is none.

    Accepted forms are `Score: 4`, `**Score:** 4`, `- Final score: 4/5` on a scale to 5, LaTeX's boxed 4, and
    similar ones. Two numbers (`Score: 4-5`) and a rating on another scale give null; a number off the scale is
    returned, for the caller to refuse.
    """
    score = F.regexp_extract(reply, LAST_SCORE % {"low": scale[0], "high": scale[1]}, 1)
    return F.when(score != "", score.try_cast("double"))


def expected_label(label_logprobs: Column, labels: list[str]) -> Column:
    """Return the mean of the labels under their renormalised probabilities; null if one is missing or `_sound_mass` is.

    The mean is clipped to the labels: if one is almost certain, rounding may carry the mean slightly past it.
    """
    weighted = [F.exp(label_logprobs[label]) * float(label) for label in labels]
    mean = sum(weighted[1:], weighted[0]) / _sound_mass(label_logprobs, labels)
    low, high = F.lit(float(labels[0])), F.lit(float(labels[-1]))
    return F.when(mean.isNotNull(), F.greatest(low, F.least(high, mean)))


def label_mass(label_logprobs: Column, labels: list[str]) -> Column:
    """Return the probability of all labels together, or null; a low one is a fault of the prompt, not of the pair."""
    mass = _sound_mass(label_logprobs, labels)
    return F.when(mass.isNotNull(), F.least(mass, F.lit(1.0)))  # `least` ignores nulls


def sound_logprob(logprob: Column) -> Column:
    """Return a log-probability, or null if it is NaN, minus infinity, or above 0 by more than rounding."""
    is_sound = (logprob <= LOGPROB_SLACK) & (logprob > F.lit(float("-inf")))  # NaN is Spark's largest double
    return F.when(is_sound, F.least(logprob, F.lit(0.0)))


def _sound_mass(label_logprobs: Column, labels: list[str]) -> Column:
    """Return the probability of all labels together; null if it is 0 or impossible, and the labels useless.

    A single label may have probability 0: vLLM writes -9999 for minus infinity.
    """
    masses = [F.exp(label_logprobs[label]) for label in labels]
    mass = sum(masses[1:], masses[0])
    return F.when((mass > 0) & (mass <= MOST_LABEL_MASS), mass)


def emptied(template: Template) -> Template:
    """Return the template with its placeholders removed, so that it reveals nothing of the pair."""
    return replace(template, text=template.text.replace("{instruction}", "").replace("{response}", ""))


def _numbers(scale: tuple[int, int]) -> list[str]:
    return [str(number) for number in range(scale[0], scale[1] + 1)]


def _no_mass() -> Column:
    return F.lit(None).cast("double")


def _mean(value: Column, bounds: Bounds) -> Rating:
    """Return the mean of the readable values; without any, the status is that of the first sample."""
    value = F.when(~F.isnan(value), value)
    low, high = (F.lit(bound) if bound is not None else value for bound in bounds)
    outcome = (
        F.when(F.col("answered") == "cut", "cut")
        .when(~F.coalesce(F.col("answered") == "ok", F.lit(False)), "failed")
        .when(value.isNull(), "unparsed")
        .when(~value.between(low, high), "out_of_range")
        .otherwise("ok")
    )
    good = outcome == "ok"
    status = F.when(F.bool_or(good), "ok").otherwise(F.min_by(outcome, F.col("sample")))
    return Rating(F.mean(F.when(good, value)), status, _no_mass())
