"""Patterns of what people do not want to be stored, by name."""

import re
from collections.abc import Mapping
from typing import Final

from otlp_capture.result import Failure, Outcome, Success

PREFIX: Final = "preset:"

# Quantifiers that give nothing back, and bounded ones, keep each of them linear in practice.
PRESETS: Final[Mapping[str, str]] = {
    "email": r"(?<![\w.%+'-])[\w.%+'-]++@[\w-]++(?:\.[\w-]++)++",
    "credit_card": (
        r"(?<!\d)(?:[2-6]\d{3}(?P<a>[ -]?)\d{4}(?P=a)\d{4}(?P=a)\d{4}(?:(?P=a)\d{1,3})?"
        r"|3[47]\d{2}(?P<b>[ -]?)\d{6}(?P=b)\d{5}"
        r"|3(?:0[0-5]|[68]\d)\d(?P<c>[ -]?)\d{6}(?P=c)\d{4})(?!\d)"
    ),
    "jwt": r"eyJ[\w-]{5,4096}+\.[\w-]++(?:\.[\w-]*+)*",
    "bearer": r"(?i:bearer)(?:\s|%20|\+){1,8}+[\w.~+/=%-]++",
    "ipv4": (
        r"(?<!\d)(?<!\d\.)(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)"
        r"(?!\d|\.\d)"
    ),
    "aws_access_key": (
        r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|AROA)[A-Z0-9]{16}"
        r"(?![A-Za-z0-9])"
    ),
}
"""The text of each pattern by its name."""


def compile_pattern(text: str) -> Outcome[re.Pattern[str], str]:
    """Return the pattern that *text* is, or names as `preset:NAME`; or else what is allowed.

    >>> compile_pattern("preset:phone").failure()
    'preset: email, credit_card, jwt, bearer, ipv4, aws_access_key; or a regular expression'
    """
    if text.startswith(PREFIX):
        known = PRESETS.get(text.removeprefix(PREFIX))
        if known is None:
            return Failure(f"preset: {', '.join(PRESETS)}; or a regular expression")
        return Success(re.compile(known))
    try:
        return Success(re.compile(text))
    except (re.error, OverflowError, RecursionError) as error:
        return Failure(f"a regular expression of Python; this is none: {error}")
