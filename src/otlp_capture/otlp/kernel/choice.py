"""Which road requests take: the compiled walk, or messages and Python.

The compiled walk is an extension. Where it was not built everything works without it, slower. The
variable `OTLP_CAPTURE_KERNEL` decides otherwise: `python` leaves the extension out, `compiled`
fails without it.
"""

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otlp_capture.otlp.kernel.compiled import CompiledWalk

VARIABLE: Final = "OTLP_CAPTURE_KERNEL"
_EXTENSIONS: Final = ("layout", "walk", "redact", "json_layout", "json_read", "json_write")


def _choose() -> "CompiledWalk | None":
    chosen = os.environ.get(VARIABLE, "")
    if chosen not in ("", "python", "compiled"):
        allowed = "allowed: python, compiled, or nothing at all"
        raise ImportError(f"{VARIABLE} is {chosen!r}; {allowed}")
    if chosen == "python":
        return None
    if not all(find_spec(f"otlp_capture.otlp.kernel.{name}") for name in _EXTENSIONS):
        if chosen == "compiled":
            way_out = "install a C compiler, and then otlp-capture again"
            raise ImportError(
                f"{VARIABLE} is 'compiled', and the extension is not built: {way_out}"
            )
        return None
    from otlp_capture.otlp.kernel.compiled import (  # noqa: PLC0415 - it may not be there
        CompiledWalk,
    )

    return CompiledWalk()


KERNEL: Final = _choose()
"""The compiled walk; None where it does not run."""


def describe_choice() -> str:
    """Say which road requests take, and why if it is the slow one.

    Returns:
        Such as `compiled`, or `Python (the extension is not built)`.
    """
    if KERNEL is not None:
        return "compiled"
    if os.environ.get(VARIABLE) == "python":
        return f"Python ({VARIABLE}=python)"
    return "Python (the extension is not built)"
