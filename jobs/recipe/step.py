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
    """The model servers of a run. None is started before the first `engine_for`."""

    @property
    def inference(self) -> Inference:
        """The settings for sending requests."""
        ...

    def engine_for(self, model: Model, window: int) -> Engine:
        """Return an engine for `model`; each copy of it keeps `window` requests open."""
        ...

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the servers that answer now."""
        ...

    def n_servers(self) -> int:
        """Return the number of servers of a model."""
        ...

    def n_held_cores(self) -> int:
        """Return the number of Spark's cores that the servers occupy."""
        ...

    def chat_template_digest(self, model: Model) -> str:
        """Return the SHA-256, in hex, of the chat template that formats prompts to `model`."""
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
    """Converts the option's text to `section.key=value`."""


@dataclass(frozen=True)
class Parameters:
    """The parameters of a job's command, besides recipe and lake."""

    first_iteration: int | None = None
    """The lowest iteration of the job; None for a job without iterations."""
    has_direction: bool = False
    has_limit: bool = False
    """True for a job that can process a part of its new inputs; other jobs need all of them."""
    argument: tuple[str, str] | None = None
    """Name and help of a positional argument."""
    options: tuple[Option, ...] = ()


@dataclass(frozen=True)
class Planned:
    """The expected work of a step, for the dry run; `tokens` counts those that models would read."""

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
        """Return the lowest of these limits and the step's limit; None if there is no limit."""
        return min((limit for limit in (*limits, self.limit) if limit), default=None)


def job_name(job: ModuleType) -> str:
    """`jobs.score_candidates` -> `score-candidates`."""
    return job.__name__.removeprefix("jobs.").replace("_", "-")
