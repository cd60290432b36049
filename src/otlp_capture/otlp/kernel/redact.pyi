from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

from otlp_capture.otlp.kernel.layout import Layout

KEEP_VALUE: Final[int]
ASK_FOR_VALUE: Final[int]
ASK_FOR_TEXT: Final[int]

class Verdicts:
    def __init__(
        self,
        decide: Callable[[int, str], int],
        texts: Mapping[int, int],
        concerned: Collection[int],
        drops_unknown: bool,
    ) -> None: ...

class Asked(Protocol):
    def attribute(self, place: int, content: bytes) -> bytes | bool | None: ...
    def body(self, place: int, content: bytes) -> bytes | bool | None: ...
    def text(self, number: int, text: str) -> str | bool | None: ...

def redact(
    layout: Layout, message: int, body: bytes, verdicts: Verdicts, asked: Asked
) -> tuple[bytes, list[int], int] | None: ...
