"""What a target says is kept; what it was told in confidence is not, where it says it back."""

from collections.abc import Iterable
from typing import Final

_SHORTEST: Final = 4
"""Shorter ones stand in too many words, and guard nothing."""


class Discretion:
    """Takes secrets out of what a target says. Lengths stay, so that messages can be read.

    >>> Discretion(["s3cret"]).in_text("no such token: s3cret")
    'no such token: ******'

    Args:
        secrets: what is not to be told.
    """

    def __init__(self, secrets: Iterable[str | None]) -> None:
        worth = {secret for secret in secrets if secret is not None and len(secret) >= _SHORTEST}
        # The longest first: one may be part of another.
        self._secrets = sorted(worth, key=len, reverse=True)

    def in_text(self, text: str) -> str:
        """Return a text without them."""
        for secret in self._secrets:
            text = text.replace(secret, "*" * len(secret))
        return text

    def in_bytes(self, content: bytes) -> bytes:
        """Return bytes without them."""
        for secret in self._secrets:
            encoded = secret.encode("utf-8", "replace")
            content = content.replace(encoded, b"*" * len(encoded))
        return content
