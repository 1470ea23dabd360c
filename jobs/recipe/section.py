"""A part of the recipe, and the digests that say which settings made a row."""

import hashlib
import json

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the recipe, frozen. An unknown key is an error, and so are NaN and infinity.

    Errors do not repeat the input, which may be a password.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    def digest(self, *method: str) -> str:
        """16 hex digits of these settings and of the method (versions, upstream digests) they steer."""
        return digest([self.model_dump(mode="json"), list(method)])


def digest(value: object) -> str:
    """16 hex digits that name a JSON-able value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
