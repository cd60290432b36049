"""How durations, sizes and rates are told to people."""

from typing import Final

_UNITS: Final = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"))


def duration_text(duration_ns: float) -> str:
    """Return a duration to three digits, in the unit that suits it.

    >>> duration_text(1_234_567), duration_text(-950), duration_text(0), duration_text(90 * 10**9)
    ('1.23 ms', '-950 ns', '0 ns', '90.0 s')
    """
    for unit_ns, name in _UNITS:
        if abs(duration_ns) >= unit_ns * 0.9995:
            return f"{_three_digits(duration_ns / unit_ns)} {name}"
    return f"{duration_ns:.0f} ns"


def size_text(size_bytes: float) -> str:
    """Return a size in bytes to three digits, in units of 1000.

    >>> size_text(999), size_text(123_456)
    ('999 B', '123 kB')
    """
    value, units = float(size_bytes), ("B", "kB", "MB", "GB", "TB", "PB")
    for unit in units[:-1]:
        if abs(value) < 999.5:  # noqa: PLR2004 - it is told as 999
            return f"{value:.0f} {unit}" if unit == "B" else f"{_three_digits(value)} {unit}"
        value /= 1000
    return f"{_three_digits(value)} {units[-1]}"


def rate_text(per_s: float | None) -> str:
    """Return a rate; a dash where there is none.

    >>> rate_text(1234.5), rate_text(2.5), rate_text(None)
    ('1,234/s', '2.50/s', '-')
    """
    return "-" if per_s is None else f"{_three_digits(per_s)}/s"


def _three_digits(value: float) -> str:
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0  # noqa: PLR2004 - as they are rounded
    return f"{value:,.{digits}f}"
