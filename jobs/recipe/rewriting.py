"""The recipe's section on the rewriting of responses."""

from typing import Self

from pydantic import Field, model_validator

from jobs.recipe.section import Section

FORWARD_MODEL = "forward"
"""The name of a rewriter that is the forward model of the iteration before."""


class RewriteResponses(Section):
    """A model rewrites the responses of the pairs that pass a first selection, as in Back-and-Forth Translation."""

    rewriter: str | None = Field(
        None,
        description="the model that rewrites: forward (the forward model of the iteration before), a name from "
        "outside_models, or a model_id of ops.models; unset: no response is rewritten",
    )
    threshold: float | None = Field(
        None,
        description="minimum score of a pair to rewrite, by curate.scorers; with neither this nor top_fraction, the "
        "pairs that curate would keep are rewritten",
    )
    top_fraction: float | None = Field(
        None,
        gt=0,
        le=1,
        description="rewrite this share, the best, of the pairs that pass the gates; replaces threshold",
    )
    temperature: float = Field(0.7, ge=0, description="sampling temperature")
    top_p: float = Field(0.9, gt=0, le=1, description="nucleus sampling")
    max_tokens: int = Field(1024, ge=1, description="longest reply, in tokens")
    min_length_share: float = Field(0.2, ge=0, description="shortest response, as a share of the segment's characters")
    max_length_share: float = Field(2.0, gt=0, description="longest response, as a share of the segment's characters")
    max_unsupported: float = Field(
        0.2, ge=0, le=1, description="maximum share of a response's sentences that may lack support in the segment"
    )

    @model_validator(mode="after")
    def _lengths_leave_room(self) -> Self:
        if self.min_length_share >= self.max_length_share:
            raise ValueError(
                f"min_length_share = {self.min_length_share} must be below max_length_share = {self.max_length_share}; "
                "lower the first or raise the second"
            )
        return self
