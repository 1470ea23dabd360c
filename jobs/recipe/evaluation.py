"""The sections of the recipe about prompt sets and the evaluations that use them."""

from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from jobs.recipe.addresses import Addresses
from jobs.recipe.section import Section, digest

CHAT_API = "chat/completions"
BUILT_IN = "humpback"
"""The name of the small prompt set that comes with this project."""
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class IngestPrompts(Section):
    """The files of evaluation prompts. All of their texts are kept out of the pool."""

    sets: dict[Name, str] = Field(
        {}, description='files of prompt sets by name, JSON lines or JSON lists, e.g. {vicuna = "eval/vicuna.jsonl"}'
    )

    @field_validator("sets")
    @classmethod
    def _name_is_free(cls, sets: dict[str, str]) -> dict[str, str]:
        if BUILT_IN in sets:
            raise ValueError(f"{BUILT_IN} is the name of the set that comes with humpback; choose another name")
        return sets


class OutsideModel(Section):
    """A model behind an OpenAI-compatible chat API, such as a judge or a rewriter."""

    endpoints: Addresses = Field(description='addresses of the API, e.g. ["https://api.example.com/v1"]', min_length=1)
    model: str = Field(min_length=1, description="name under which the API knows the model")
    key_variable: str | None = Field(
        None,
        pattern="^[A-Z][A-Z0-9_]*$",
        description="environment variable that holds the API key; unset: no key is sent, HUMPBACK_API_KEY neither",
    )
    logprobs: bool = Field(
        True,
        description="whether the API returns log-probabilities; if not, a verdict is the label that the model writes",
    )

    @property
    def model_id(self) -> str:
        """The model's id in `ops.outside_models`; it depends on `logprobs`, which decides how verdicts are read."""
        return f"{self.model}-{self.model_digest[:6]}"

    @property
    def model_digest(self) -> str:
        """Digest of the API, the name and `logprobs`; the weights are not known."""
        return digest([CHAT_API, self.model, self.logprobs])


class Evaluation(Section):
    """Answers of forward models to a set of prompts, and a judge's comparisons of them."""

    set: Name = Field(
        BUILT_IN, description="name of the prompt set; humpback: the twenty prompts that come with humpback"
    )
    name: Name | None = Field(
        None, description="name of the evaluation in gold.evaluations; unset: the name of the set"
    )
    iterations: tuple[int, ...] = Field(
        (), description="iterations of the forward models that answer; empty: the first and the last"
    )
    temperature: float = Field(0.7, ge=0, description="sampling temperature; 0 is greedy (paper, section 3.1)")
    top_p: float = Field(0.9, gt=0, le=1, description="nucleus sampling (paper, section 3.1)")
    max_tokens: int = Field(512, ge=1, description="longest answer, in tokens")
    judge: str | None = Field(
        None,
        description="the judge: a name from outside_models, or a model_id of ops.models; unset: the last forward model",
    )
    judged_iterations: tuple[int, ...] = Field(
        (), description="iterations of the forward models that the judge compares with the reference; empty: none"
    )
    reference: int = Field(0, ge=0, description="iteration of the forward model that the others are compared with")

    @property
    def label(self) -> str:
        """The name of the evaluation."""
        return self.name or self.set
