"""Which sanitizers there are to run under, and which ones a process runs under."""

import ctypes
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

ADDRESS: Final = "AddressSanitizer"
UNDEFINED: Final = "UndefinedBehaviorSanitizer"

_CALLS: Final = {ADDRESS: b"__asan_report_load", UNDEFINED: b"__ubsan_handle_"}
_RUNTIMES: Final = {ADDRESS: "__asan_init", UNDEFINED: "__ubsan_handle_add_overflow"}
_OF_GCC: Final = ("libasan.so", "libubsan.so", "libstdc++.so")
_OF_ATHERIS: Final = "asan_with_fuzzer.so"
_EXTENSION: Final = "otlp_capture.otlp.kernel.walk"

OPTIONS: Final = {
    # CPython keeps what it has made until it ends; that is no leak.
    "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=32:malloc_context_size=2",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    # Each object is a block of its own, with a fence around it.
    "PYTHONMALLOC": "malloc",
}


def has_atheris() -> bool:
    """Say whether the coverage-guided engine is installed."""
    return find_spec("atheris") is not None


def runtimes() -> list[Path]:
    """Return what must be loaded before Python for the extension's sanitizers to work.

    Atheris brings a library of its own, which holds libFuzzer too; without it gcc's are taken.
    """
    atheris = find_spec("atheris")
    if atheris is not None and atheris.origin is not None:
        return [path for path in [Path(atheris.origin).parents[1] / _OF_ATHERIS] if path.exists()]
    if shutil.which("gcc") is None:
        return []
    return [path for name in _OF_GCC if (path := _known_to_gcc(name)).is_absolute()]


def _known_to_gcc(name: str) -> Path:
    asked = ["gcc", f"-print-file-name={name}"]
    answer = subprocess.run(asked, check=True, capture_output=True, text=True)  # noqa: S603 - a fixed command
    return Path(answer.stdout.strip())


@cache
def loaded_sanitizers() -> tuple[str, ...]:
    """Return those that this process has loaded and the extension was built with."""
    extension = find_spec(_EXTENSION)
    if extension is None or extension.origin is None:
        return ()
    built, process = Path(extension.origin).read_bytes(), ctypes.CDLL(None)
    return tuple(
        name for name, call in _CALLS.items() if call in built and hasattr(process, _RUNTIMES[name])
    )
