"""A section of the recipe, and the digests of settings."""

import hashlib
import json

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen section of the recipe. Unknown keys, NaN and infinity are errors.

    Messages do not repeat the input, which may be a password.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    def digest(self, *method: str) -> str:
        """Return 16 hex digits of these settings and of the method that uses them (versions, upstream digests)."""
        return digest([self.model_dump(mode="json"), list(method)])


def digest(value: object) -> str:
    """Return the first 16 hex digits of the SHA-256 of a JSON-serialisable value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
