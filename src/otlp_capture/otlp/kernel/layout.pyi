from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from otlp_capture.otlp.tables import MessageTable

class Layout:
    @property
    def tables(self) -> tuple[MessageTable, ...]: ...
    def __init__(
        self,
        tables: Sequence[MessageTable],
        traits: Mapping[tuple[str, str], AbstractSet[str]],
        places: Mapping[tuple[str, str], int],
    ) -> None: ...
