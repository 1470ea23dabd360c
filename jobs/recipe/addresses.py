"""Addresses of model servers in a recipe, which must not carry a secret."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

ADDRESS = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:(?P<port>\d{1,5}))?(/[a-z0-9._~%+/-]*)?", re.IGNORECASE)
SECRETS = "@?#"
"""An address with one of these characters may contain a secret, which the ledger and messages would repeat."""


def _addresses(value: Any) -> Any:
    """Return no addresses for `local`, else the addresses without trailing slashes."""
    if value == "local":
        return ()
    return [a.rstrip("/") if isinstance(a, str) else a for a in value] if isinstance(value, list | tuple) else value


def _plain(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Raise ValueError if a text is not a server's address; the message does not repeat it, as it may hold a secret."""
    for number, address in enumerate(addresses, 1):
        label = f"address {number} of {len(addresses)}"
        if set(SECRETS) & set(address):
            raise ValueError(
                f"{label} has a user name, password, query or fragment; remove it, and put the key into the "
                "environment variable HUMPBACK_API_KEY, or for an outside model into that of its key_variable"
            )
        match = ADDRESS.fullmatch(address)
        if not match or int(match["port"] or 0) > 65535:
            raise ValueError(f"{label} is not the address of a server; write it like http://gpu1:8000/v1")
    return addresses


Addresses = Annotated[tuple[str, ...], BeforeValidator(_addresses), AfterValidator(_plain)]
"""Base URLs of servers, such as http://gpu1:8000/v1."""
