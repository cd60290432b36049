from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from otlp_capture.otlp.json_scalars import Rejected
from otlp_capture.otlp.json_text import JsonFault
from otlp_capture.otlp.kernel.json_layout import JsonLayout
from otlp_capture.otlp.limits import Limits
from otlp_capture.otlp.tables import Field, Kind

Readers: TypeAlias = Mapping[Kind, Callable[[Any, Field], Any]]
Refusal: TypeAlias = Rejected | Literal["bytes", "elements"]

def read(
    layout: JsonLayout,
    message: int,
    body: bytes,
    is_import: bool,
    readers: Readers,
    limits: Limits,
) -> bytes | Refusal | JsonFault | None: ...
def read_line(
    layout: JsonLayout, body: bytes, readers: Readers, limits: Limits
) -> list[tuple[Field, bytes | Refusal]] | Refusal | JsonFault | None: ...
