from otlp_capture.otlp.kernel.layout import Layout

def scan(
    layout: Layout, message: int, body: bytes, max_elements: int, max_values: int
) -> tuple[int | None, int, int, int, set[bytes]] | None: ...
def counts(layout: Layout, message: int, body: bytes, max_elements: int) -> bool: ...
def containers(
    layout: Layout, message: int, body: bytes
) -> list[tuple[int, int, bytes]] | None: ...
def shift(
    layout: Layout, message: int, body: bytes, distance_ns: int, is_back: bool
) -> bytes | None: ...
def remap(layout: Layout, message: int, body: bytes, key: bytes) -> bytes | None: ...
def select_traces(
    layout: Layout,
    message: int,
    body: bytes,
    key: bytes,
    first: int,
    last: int,
    keeps_untraced: bool,
) -> tuple[bytes, int, int] | None: ...
