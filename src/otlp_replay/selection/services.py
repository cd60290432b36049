"""Which services are meant by patterns."""

import re
from fnmatch import translate
from functools import cache


@cache
def _pattern(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))


def is_meant(service: str, patterns: tuple[str, ...]) -> bool:
    """Say whether one of *patterns* matches a `service.name`; `""` stands for none.

    Args:
        service: the name.
        patterns: with `*`, `?` and `[…]`, upper and lower case told apart; none of them: every
            service is meant.

    >>> is_meant("cart", ("c*", "frontend")), is_meant("Cart", ("c*",)), is_meant("", ("*",))
    (True, False, True)
    """
    return not patterns or _pattern(patterns).match(service) is not None
