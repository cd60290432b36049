# The part of isal that is used here; its own stubs leave the buffers untyped.

from typing_extensions import Buffer

DEFLATED: int

class error(Exception): ...  # noqa: N801, N818 - isal's own name

class Compress:
    def compress(self, data: Buffer, /) -> bytes: ...
    def flush(self) -> bytes: ...

class Decompress:
    eof: bool
    unused_data: bytes
    def decompress(self, data: Buffer, /, max_length: int = 0) -> bytes: ...

def compressobj(level: int = ..., method: int = ..., wbits: int = ...) -> Compress: ...
def decompressobj(wbits: int = ...) -> Decompress: ...
def crc32(data: Buffer, value: int = 0, /) -> int: ...
