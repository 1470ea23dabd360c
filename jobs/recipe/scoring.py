"""The recipe's sections on ratings: the scorers, the check of the scorers, and the selection of pairs."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from jobs.recipe.section import Section
from transforms.scoring.known_pairs import Kind
from transforms.scoring.scorers import SCORERS


def _require_scorer(name: str) -> str:
    if name not in SCORERS:
        raise ValueError(f"unknown scorer {name!r}; the scorers are {', '.join(SCORERS)}")
    return name


ScorerName = Annotated[str, AfterValidator(_require_scorer)]


class ScoreCandidates(Section):
    """Self-curation: the scorers that rate the candidates, and their requests."""

    scorers: tuple[ScorerName, ...] = Field(
        ("rubric",), min_length=1, description="scorers that rate the candidates (paper, table 1)"
    )
    limits: dict[ScorerName, int] = Field(
        {}, description="maximum number of candidates per scorer, chosen by hash, e.g. {rubric = 1000}"
    )
    temperature: float = Field(0.0, ge=0, description="sampling temperature of written ratings")
    samples: int = Field(
        1, ge=1, description="written ratings per pair, which are averaged; more than one needs a temperature"
    )
    constrain: Literal["always", "unparsed"] = Field(
        "always",
        description="always: a grammar forces the last line of a written rating; unparsed: only after a free answer "
        "without a readable score",
    )
    rationale_chars: int = Field(1200, ge=1, description="longest rationale of a written rating, in characters")
    random_seed: str = Field("humpback", description="seed of the ratings by the scorer random")

    @model_validator(mode="after")
    def _require_temperature(self) -> Self:
        if self.samples > 1 and not self.temperature:
            raise ValueError("samples > 1 are identical at temperature 0; set temperature, e.g. 1.0")
        return self


class JudgeCheck(Section):
    """The check of the scorers: they rate pairs whose quality is known."""

    pairs: int = Field(
        200, ge=1, description="held-out seed pairs to rate, each intact and spoilt in each of the ways of kinds"
    )
    kinds: tuple[Kind, ...] = Field(
        ("mismatched", "cut", "hollowed", "cluttered"), min_length=1, description="ways to spoil a pair"
    )
    file: str | None = Field(
        None, description="JSONL file of instruction, response and label to rate instead of seed pairs"
    )
    scorers: tuple[ScorerName, ...] = Field((), description="scorers to check; empty: those of score_candidates")
    iterations: tuple[int, ...] = Field(
        (), description="iterations of the forward models that `humpback run` checks; empty: none"
    )
    precision: float = Field(0.9, gt=0, le=1, description="the check reports the lowest threshold with this precision")


class Curate(Section):
    """The selection of A_k, the pairs that are kept for training."""

    scorers: tuple[ScorerName, ...] = Field(
        ("rubric",), min_length=1, description="the scorer that decides; of several, the mean percentile rank (paper)"
    )
    threshold: float | None = Field(
        4.5, description="minimum score of a kept pair; k = 5 means 4.5 or more (paper, section 3.3)"
    )
    top_fraction: float | None = Field(
        None, gt=0, le=1, description="keep this share of the pairs that pass the gates; replaces threshold"
    )
    gates: dict[ScorerName, float] = Field(
        {}, description="minimum scores of every kept pair by other scorers, e.g. {expected = 1.5}"
    )
    max_leak: Annotated[float, Field(ge=0, le=1)] | Literal["seed"] | None = Field(
        None,
        description="largest leak, 0 to 1: the share of an instruction's words in runs of at least four that the "
        "response has too; seed: the leak that 99 % of the seed pairs do not exceed; unset: no limit",
    )
    per_segment: int | None = Field(
        None,
        ge=1,
        description="maximum number of candidates of a segment to keep: the best that pass the gates; unset: all",
    )
    max_pairs: int | None = Field(
        None,
        ge=1,
        description="maximum number of pairs to keep; pairs that pass are drawn by hash and not by score, so sets of "
        "different sizes have the same quality, and a smaller set is part of a larger one; unset: all",
    )
    response: Literal["original", "rewritten", "both"] = Field(
        "original", description="responses of the curated pairs: the segments, the rewritten responses, or both"
    )
    min_rows: int = Field(1, ge=0, description="fewer kept pairs stop the run with exit code 3")

    @model_validator(mode="after")
    def _can_reach_min_rows(self) -> Self:
        if self.max_pairs is not None and self.max_pairs < self.min_rows:
            raise ValueError(
                f"max_pairs = {self.max_pairs} can never reach min_rows = {self.min_rows}; lower min_rows or raise "
                "max_pairs"
            )
        return self
