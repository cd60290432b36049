"""How much one request may hold."""

from typing import Final

import attrs


@attrs.frozen
class Limits:
    """Bounds that are checked before anything large is built in memory.

    Attributes:
        max_elements: messages inside one request (resources, scopes, spans, attributes, values),
            together with the items of repeated strings.
        max_any_value_depth: how deep an AnyValue may hold AnyValues; a plain one has depth 1.
        max_bytes: size of the request in its encoding, decompressed.
    """

    max_elements: int = 1_000_000
    max_any_value_depth: int = 32
    max_bytes: int = 20 * 1024 * 1024


DEFAULT_LIMITS: Final = Limits()
