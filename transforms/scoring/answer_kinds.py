"""The kinds of answers that scorers ask for: what is asked about a pair, how it is sampled, and what it comes to.

A new kind is one more class with the members of `AnswerKind`; nothing else knows how many there are.
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
"""The label of a turn that ends: nothing more is said."""
# The last line is forced by the grammar, so that a rating always parses, however the model rambles.
WRITTEN = r"[^\n]{1,%d}\nScore: %s"
# Markdown, LaTeX, table bars and brackets may stand around the words and the number. Quantifiers with a + give nothing
# back, so that the time is linear in the reply.
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
"""What a free answer can be that a grammar would have prevented."""

Sampling = dict[str, Any]
Target = Literal["instruction", "response"]
"""The side of a pair that the model asked was trained to write."""
Bounds = tuple[float | None, float | None]


class Settings(Protocol):
    """The recipe's settings for ratings."""

    @property
    def temperature(self) -> float:
        """Of answers in words."""
        ...

    @property
    def samples(self) -> int:
        """Answers in words to one prompt, to be averaged."""
        ...

    @property
    def rationale_chars(self) -> int:
        """The longest reasoning before a written rating."""
        ...

    @property
    def constrain(self) -> Literal["always", "unparsed"]:
        """Whether a grammar forces an answer's form at once, or only where a free answer cannot be read."""
        ...


class Question(NamedTuple):
    """What is asked about a pair: the prompts, by the name of the part, and the side that follows each as a span."""

    prompts: Mapping[str | None, Template]
    span: Target | None = None


class Rating(NamedTuple):
    """What a pair's answers come to: aggregates over them, as columns."""

    score: Column
    status: Column
    label_mass: Column


class AnswerKind(Protocol):
    """What a kind of answer must say of itself."""

    @property
    def bounds(self) -> Bounds:
        """The lowest and the highest score there can be, None for an open end."""
        ...

    @property
    def as_trained(self) -> bool:
        """Whether it asks about text as the model was trained to write it, under its training's system message."""
        ...

    def question(self, template: Template, target: Target) -> Question:
        """What is asked about a pair, of a model that was trained to write its side `target`."""
        ...

    def samplings(self, settings: Settings) -> tuple[Sampling, ...]:
        """The ways to sample an answer; the second is for those that could not be read by the first, and so on."""
        ...

    def samples(self, settings: Settings) -> int:
        """How many answers are asked for to each prompt."""
        ...

    def rating(self) -> Rating:
        """The rating in a pair's answers.

        An answer has the columns `part`, `sample`, `text`, `label_logprobs`, `span_logprob` and
        `span_tokens`, and `answered`: the completion's status, null where it is missing.
        """
        ...


@dataclass(frozen=True)
class Written:
    """A rating on the last line of what the model has written, on a scale of whole numbers."""

    scale: tuple[int, int]
    as_trained: ClassVar = False

    def __post_init__(self) -> None:
        """Refuse a scale without two numbers."""
        if self.scale[0] >= self.scale[1]:
            raise ValueError(
                f"a scale runs from a lower to a higher number, not from {self.scale[0]} to {self.scale[1]}"
            )

    @property
    def bounds(self) -> Bounds:
        """The ends of the scale."""
        return self.scale

    def question(self, template: Template, target: Target) -> Question:
        """The template, filled with both sides."""
        return Question({None: template})

    def samplings(self, settings: Settings) -> tuple[Sampling, ...]:
        """Under the grammar, unless the settings want a free answer first."""
        # A token has at least one character: the grammar's bound ends the answer, not the token limit.
        free = {"temperature": settings.temperature, "max_tokens": settings.rationale_chars + 16}
        bound = free | {"regex": WRITTEN % (settings.rationale_chars, one_of(self.scale))}
        return (bound,) if settings.constrain == "always" else (free, bound)

    def samples(self, settings: Settings) -> int:
        """As many as the settings say."""
        return settings.samples

    def rating(self) -> Rating:
        """The mean of the samples that can be read."""
        return _mean(written_score(F.col("text"), self.scale), self.bounds)


@dataclass(frozen=True)
class Labels:
    """The mean of a scale's numbers under the probabilities that the model gives them as its answer."""

    scale: tuple[int, int]
    as_trained: ClassVar = False

    def __post_init__(self) -> None:
        """Refuse a scale with a number of two digits: its first digit is a token that other numbers begin with too."""
        low, high = self.scale
        if not 0 <= low < high <= 9:
            raise ValueError(f"labels are numbers of one digit; a scale from {low} to {high} has others")

    @property
    def bounds(self) -> Bounds:
        """The ends of the scale."""
        return self.scale

    @property
    def labels(self) -> list[str]:
        """The numbers of the scale."""
        return _numbers(self.scale)

    def question(self, template: Template, target: Target) -> Question:
        """The template, filled with both sides."""
        return Question({None: template})

    def samplings(self, settings: Settings) -> tuple[Sampling, ...]:
        """The probabilities of the labels as the next token."""
        return (label_sampling(self.labels),)

    def samples(self, settings: Settings) -> int:
        """One: a probability is the same each time."""
        return 1

    def rating(self) -> Rating:
        """The expected label, and the probability of all labels together."""
        given = F.col("label_logprobs")
        found = _mean(expected_label(given, self.labels), self.bounds)
        return found._replace(label_mass=F.mean(label_mass(given, self.labels)))


@dataclass(frozen=True)
class Likelihood:
    """How much likelier one side of the pair is given the other than alone, in nats per token."""

    as_trained: ClassVar = True
    bounds: ClassVar[Bounds] = (None, None)

    def question(self, template: Template, target: Target) -> Question:
        """The target after the template with the other side in its place, and after the empty template."""
        return Question({GIVEN: template, ALONE: emptied(template)}, span=target)

    def samplings(self, settings: Settings) -> tuple[Sampling, ...]:
        """Greedy, one token, which nobody reads."""
        return ({"temperature": 0.0, "max_tokens": 1},)

    def samples(self, settings: Settings) -> int:
        """One: a probability is the same each time."""
        return 1

    def rating(self) -> Rating:
        """log p(one side | the other) - log p(that side), per token of that side."""
        known = sound_logprob(F.col("span_logprob"))
        given, alone = (F.max(F.when(F.col("part") == part, known)) for part in (GIVEN, ALONE))
        tokens = F.max("span_tokens")
        score = (given - alone) / F.when(tokens > 0, tokens)
        answered = F.bool_and(F.coalesce(F.col("answered") == "ok", F.lit(False)))
        status = F.when(score.isNotNull(), "ok").when(answered, "unparsed").otherwise("failed")
        return Rating(score, status, _no_mass())


@dataclass(frozen=True)
class Ending:
    """The log-probability, in nats, that the model would end its turn after the side it was trained to write."""

    as_trained: ClassVar = True
    bounds: ClassVar[Bounds] = (None, 0.0)

    def question(self, template: Template, target: Target) -> Question:
        """The target, after which the turn would end, as the answer to the template."""
        return Question({None: template}, span=target)

    def samplings(self, settings: Settings) -> tuple[Sampling, ...]:
        """The probability of the end as the next token."""
        return (label_sampling([END]),)

    def samples(self, settings: Settings) -> int:
        """One: a probability is the same each time."""
        return 1

    def rating(self) -> Rating:
        """The end's log-probability."""
        end = sound_logprob(F.col("label_logprobs")[END])
        return _mean(F.when(F.exp(end) > 0, end), self.bounds)


def one_of(scale: tuple[int, int]) -> str:
    """A regular expression for the whole numbers of a scale, and nothing else."""
    low, high = scale
    return f"[{low}-{high}]" if 0 <= low < high <= 9 else f"({'|'.join(_numbers(scale))})"


def label_sampling(labels: list[str]) -> Sampling:
    """The sampling that gives the log-probabilities of single-token answers."""
    return {"temperature": 0.0, "max_tokens": 1, "labels": labels}


def written_score(reply: Column, scale: tuple[int, int]) -> Column:
    """The rating on the last line of a reply, or null.

    Read are `Score: 4`, `**Score:** 4`, `- Final score: 4/5` on a scale to 5, LaTeX's boxed 4, and their like.
    Two numbers (`Score: 4-5`) and a rating on another scale are null; a number off the scale is returned, for the
    caller to refuse.
    """
    found = F.regexp_extract(reply, LAST_SCORE % {"low": scale[0], "high": scale[1]}, 1)
    return F.when(found != "", found.try_cast("double"))


def expected_label(label_logprobs: Column, labels: list[str]) -> Column:
    """The mean of numbers under their renormalised probabilities; null unless all are there and can be true.

    Kept between the labels: where one is as good as certain, rounding may carry the mean a bit past it.
    """
    weighted = [F.exp(label_logprobs[label]) * float(label) for label in labels]
    mean = sum(weighted[1:], weighted[0]) / _sound_mass(label_logprobs, labels)
    low, high = F.lit(float(labels[0])), F.lit(float(labels[-1]))
    return F.when(mean.isNotNull(), F.greatest(low, F.least(high, mean)))


def label_mass(label_logprobs: Column, labels: list[str]) -> Column:
    """The probability of all labels together: low means the prompt, not the pair, is at fault; null as above."""
    mass = _sound_mass(label_logprobs, labels)
    return F.when(mass.isNotNull(), F.least(mass, F.lit(1.0)))  # least passes over a null


def sound_logprob(logprob: Column) -> Column:
    """A log-probability, null where it is none: not a number, minus infinity, or of a probability above 1."""
    is_sound = (logprob <= LOGPROB_SLACK) & (logprob > F.lit(float("-inf")))  # of Spark's doubles NaN is the largest
    return F.when(is_sound, F.least(logprob, F.lit(0.0)))


def _sound_mass(label_logprobs: Column, labels: list[str]) -> Column:
    """The probability of all labels, null where it is 0 or cannot be: then the labels say nothing.

    One of them may be as good as impossible: vLLM writes -9999 for minus infinity.
    """
    masses = [F.exp(label_logprobs[label]) for label in labels]
    mass = sum(masses[1:], masses[0])
    return F.when((mass > 0) & (mass <= MOST_LABEL_MASS), mass)


def emptied(template: Template) -> Template:
    """A template that gives nothing away of the pair."""
    return replace(template, text=template.text.replace("{instruction}", "").replace("{response}", ""))


def _numbers(scale: tuple[int, int]) -> list[str]:
    return [str(number) for number in range(scale[0], scale[1] + 1)]


def _no_mass() -> Column:
    return F.lit(None).cast("double")


def _mean(value: Column, bounds: Bounds) -> Rating:
    """The mean of the values that can be read; else the status is that of the first sample."""
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
