from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from otlp_capture.otlp.tables import MessageTable

class JsonLayout:
    @property
    def tables(self) -> tuple[MessageTable, ...]: ...
    def __init__(
        self,
        tables: Sequence[MessageTable],
        zigzag: AbstractSet[tuple[str, str]],
        requests: Sequence[int],
    ) -> None: ...
