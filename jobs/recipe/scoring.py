"""The recipe's sections on ratings: who rates, whether to trust it, and what is kept."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from jobs.recipe.section import Section
from transforms.scoring.known_pairs import Kind
from transforms.scoring.scorers import SCORERS


def _known(name: str) -> str:
    if name not in SCORERS:
        raise ValueError(f"there is no scorer {name!r}; there are {', '.join(SCORERS)}")
    return name


ScorerName = Annotated[str, AfterValidator(_known)]


class ScoreCandidates(Section):
    """Self-curation: which scorers rate the candidates."""

    scorers: tuple[ScorerName, ...] = Field(("rubric",), min_length=1)
    limits: dict[ScorerName, int] = Field({}, description="scorer -> at most this many candidates, by hash")
    temperature: float = Field(0.0, ge=0, description="of written ratings")
    samples: int = Field(
        1, ge=1, description="written ratings of one pair, averaged; more than one needs a temperature"
    )
    constrain: Literal["always", "unparsed"] = Field(
        "always", description="force a written rating's last line: at once, or only where a free answer can't be read"
    )
    rationale_chars: int = Field(1200, ge=1, description="a written rating's rationale is at most this long")

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.samples > 1 and not self.temperature:
            raise ValueError("samples > 1 are all alike at temperature 0; set temperature, e.g. 1.0")
        return self


class JudgeCheck(Section):
    """Whether the scorers know anything: what they say of pairs whose truth is known."""

    pairs: int = Field(200, ge=1, description="held-out seed pairs, each as it is and spoilt in every way of kinds")
    kinds: tuple[Kind, ...] = Field(("mismatched", "cut", "hollowed", "cluttered"), min_length=1)
    file: str | None = Field(None, description="instead: your own JSONL of instruction, response and label")
    scorers: tuple[ScorerName, ...] = Field((), description="empty: those of score_candidates")
    iterations: tuple[int, ...] = Field((), description="forward models that `humpback run` checks; empty: none")
    precision: float = Field(0.9, gt=0, le=1, description="the threshold that reaches it is said")


class Curate(Section):
    """A_k: which candidates are good enough."""

    scorers: tuple[ScorerName, ...] = Field(("rubric",), min_length=1, description="several: their mean rank")
    threshold: float | None = Field(4.5, description="paper, section 3.3: k = 5 means a score of 4.5 or more")
    top_fraction: float | None = Field(None, gt=0, le=1, description="instead of a threshold, after the gates")
    gates: dict[ScorerName, float] = Field({}, description="scorer -> least score, for all that is kept")
    min_rows: int = Field(1, ge=0, description="fewer curated rows stop the run with exit code 3")
