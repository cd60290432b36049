# The part of isal that is used here; its own stubs leave the buffers untyped.

from typing_extensions import Buffer

COMP_DEFLATE: int
COMP_GZIP_NO_HDR: int
DECOMP_DEFLATE: int
DECOMP_GZIP: int
MAX_HIST_BITS: int

class IsalError(Exception): ...

class IgzipDecompressor:
    eof: bool
    needs_input: bool
    unused_data: bytes
    def __init__(self, flag: int = ..., hist_bits: int = ...) -> None: ...
    def decompress(self, data: Buffer, /, max_length: int = -1) -> bytes: ...

def compress(data: Buffer, /, level: int = ..., flag: int = ...) -> bytes: ...
def decompress(
    data: Buffer, /, flag: int = ..., hist_bits: int = ..., bufsize: int = ...
) -> bytes: ...
