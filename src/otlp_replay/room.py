"""A bound on what is held at once."""

import anyio


class Room:
    """Bounds how many things are inside at once, and how many bytes they have together.

    One task puts things in, any may take them out. What is larger than the room goes in alone.

    Args:
        max_count: how many things.
        max_bytes: how many bytes of them.
    """

    def __init__(self, max_count: int, max_bytes: int) -> None:
        self._max_count, self._max_bytes = max_count, max_bytes
        self._count = self._bytes = 0
        self._left = anyio.Event()

    def has_room(self, size_bytes: int) -> bool:
        """Whether something of *size_bytes* could go in now."""
        if self._count == 0:
            return True
        return self._count < self._max_count and self._bytes + size_bytes <= self._max_bytes

    async def enter(self, size_bytes: int) -> None:
        """Wait until something of *size_bytes* fits in, and put it in."""
        while not self.has_room(size_bytes):
            self._left = anyio.Event()
            await self._left.wait()
        self._count += 1
        self._bytes += size_bytes

    def leave(self, size_bytes: int) -> None:
        """Take something of *size_bytes* out."""
        self._count -= 1
        self._bytes -= size_bytes
        self._left.set()
