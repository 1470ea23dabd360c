"""The identity and location of a model to serve."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """A model folder and the name under which it is served."""

    model_id: str
    """Immutable name: other weights have another."""
    path: str
    digest: str
    """`folder_digest` of the folder."""
    base_model: str
    """Folder of the model that this one was finetuned from."""
