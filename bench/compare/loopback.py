"""GET from loopback."""

import httpx


def get(url: str) -> bytes | None:
    """The answer; None for an error, and where nobody listens."""
    try:
        return httpx.get(url, timeout=10, trust_env=False).raise_for_status().content
    except httpx.HTTPError:
        return None
