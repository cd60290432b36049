"""What can be wrong with rules of redaction, and with a redaction."""

from typing import Any, ClassVar, TypeAlias

import attrs


@attrs.frozen
class RulesUnreadable:
    """The file of rules cannot be read."""

    path: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which file, and why."""
        return f"The redaction rules {self.path} cannot be read: {self.reason}."


@attrs.frozen
class InvalidRule:
    """A rule says what no rule can say.

    Attributes:
        rule: its number in the order of rules, from 1.
        field: which of its fields.
        value: what stands there; None where nothing does.
        allowed: what may stand there.
    """

    rule: int
    field: str
    value: Any
    allowed: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which rule and field, what was found, and what is allowed."""
        found = "is missing" if self.value is None else f"cannot be {str(self.value)[:200]!r}"
        return f"Redaction rule {self.rule}: {self.field} {found}; allowed: {self.allowed}."


@attrs.frozen
class InvalidRuleSetting:
    """A setting of all the rules has a value that it cannot have."""

    field: str
    value: Any
    allowed: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which setting, what was found, and what is allowed."""
        found = f"cannot be {str(self.value)[:200]!r}"
        return f"Redaction rules: {self.field} {found}; allowed: {self.allowed}."


@attrs.frozen
class HashKeyMissing:
    """The key of the hashes is not where the rules say, or is no key.

    Attributes:
        source: where it was looked for.
        reason: what was found there; never the key itself.
    """

    source: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Where the key was looked for, what was found, and what to do."""
        return (
            f"The key for hashes is not to be had from {self.source}: {self.reason}. "
            f"Put 16 to 64 random bytes there, such as `openssl rand -hex 24` prints."
        )


RulesRefused: TypeAlias = RulesUnreadable | InvalidRule | InvalidRuleSetting | HashKeyMissing
"""Why nothing can be redacted by a file of rules."""


@attrs.frozen
class RedactionFailed:
    """A request could not be redacted, so it is kept nowhere.

    Attributes:
        reason: what went wrong, without anything that the request holds.
    """

    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """That the request was not kept, and why."""
        return f"The request could not be redacted and was not kept: {self.reason}."
