"""The declaration of a job, its parameters, and its plan for the dry run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Protocol

from jobs.recipe.config import Direction, Inference
from model_ops.client.endpoint import Endpoint
from model_ops.client.engine import Engine
from model_ops.serving.model import Model


class Servers(Protocol):
    """Where models answer. Nothing is started before the first `engine_for`."""

    @property
    def inference(self) -> Inference:
        """How requests travel."""
        ...

    def engine_for(self, model: Model, window: int) -> Engine:
        """An engine for `model`, each copy of which keeps `window` requests open."""
        ...

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The servers that answer now."""
        ...

    def n_servers(self) -> int:
        """How many servers a model has."""
        ...

    def n_held_cores(self) -> int:
        """How many of Spark's cores the servers hold."""
        ...

    def chat_template_digest(self, model: Model) -> str:
        """The sha256 of the chat template that prompts to `model` are written with, hex."""
        ...

    def stop(self) -> None:
        """Stop the servers that this process has started."""
        ...


@dataclass(frozen=True)
class Option:
    """A command-line option of one job, short for a `--set` of its recipe section."""

    flag: str
    metavar: str
    help: str
    override: Callable[[str], str]
    """Turns the option's text into `section.key=value`."""


@dataclass(frozen=True)
class Parameters:
    """The parameters of a job's command, besides recipe and lake."""

    first_iteration: int | None = None
    """The first iteration the job exists for; None for a job without iterations."""
    has_direction: bool = False
    has_limit: bool = False
    """Whether the job can stop after some of its new inputs; other jobs need all of them."""
    argument: tuple[str, str] | None = None
    """Name and help of a positional argument."""
    options: tuple[Option, ...] = ()


@dataclass(frozen=True)
class Planned:
    """What a step would do, for the dry run; `tokens` are those that models would read."""

    would_do: str
    n: int | None = None
    tokens: int | None = None


@dataclass(frozen=True)
class Step:
    """One job with its parameters: iteration, direction, limit, argument, and the servers that it may ask."""

    job: ModuleType
    iteration: int | None = None
    direction: Direction | None = None
    limit: int | None = None
    argument: str | None = None
    servers: Servers | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """`jobs.score_candidates` -> `score-candidates`."""
        return job_name(self.job)

    @property
    def required_iteration(self) -> int:
        """The iteration of a job that has one."""
        assert self.iteration is not None, f"{self.name} without an iteration"
        return self.iteration

    @property
    def required_direction(self) -> Direction:
        """The direction of a job that has one."""
        assert self.direction is not None, f"{self.name} without a direction"
        return self.direction

    @property
    def required_servers(self) -> Servers:
        """The servers of a job that asks models."""
        assert self.servers is not None, f"{self.name} without servers"
        return self.servers

    def at_most(self, *limits: int | None) -> int | None:
        """The lowest of the limits and the step's own; None where there is none."""
        return min((limit for limit in (*limits, self.limit) if limit), default=None)


def job_name(job: ModuleType) -> str:
    """`jobs.score_candidates` -> `score-candidates`."""
    return job.__name__.removeprefix("jobs.").replace("_", "-")
