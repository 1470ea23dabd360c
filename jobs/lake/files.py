"""Which folder of this machine a URI names."""

import re
from pathlib import Path


def local_path(uri: str) -> Path | None:
    """The folder that a lake's root names on this machine, or None where it is elsewhere."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", uri)
    if not scheme:
        return Path(uri).absolute()
    return Path("/" + uri[5:].lstrip("/")) if scheme[1] == "file" else None
