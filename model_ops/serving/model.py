"""A model that can be served."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """Names a model and where it lies."""

    model_id: str
    """Immutable: other weights have another name."""
    path: str
    digest: str
    """Of the folder's files: `folder_digest`."""
    base_model: str
    """The folder of the model that it was finetuned from."""
