"""The compiled kernel of the wire. Where it cannot be built the package works without it."""

from pathlib import Path

from setuptools import Extension, setup

KERNEL = Path("src/otlp_capture/otlp/kernel")
NAMES = ("layout", "walk", "redact", "json_layout", "json_read", "json_write")

# One loop serves every purpose of a walk: inlined, each gets a loop of its own.
MACROS = {"walk": [("CYTHON_INLINE", "inline __attribute__((always_inline))")]}

setup(
    ext_modules=[
        Extension(
            f"otlp_capture.otlp.kernel.{name}",
            [str(KERNEL / f"{name}.pyx")],
            depends=sorted(map(str, KERNEL.glob("*.pxd"))),
            define_macros=MACROS.get(name, []),
            extra_compile_args=["-O3"],
            optional=True,
        )
        for name in NAMES
    ]
)
