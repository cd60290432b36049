"""Which targets may be sent to: loopback, and what somebody has allowed by name.

Production is not sent to by a typing error, nor because a name has begun to mean another machine.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import ClassVar, Final, TypeAlias

import attrs

from otlp_capture.result import Failure, Outcome, Success

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_MAX_NAME: Final = 253
_MAX_PORT: Final = 65_535
WHAT_IS_ALLOWED: Final = (
    "it is a host or an address, with or without :PORT, *.SUFFIX for all names below one, "
    "or a network such as 10.1.0.0/16"
)


@attrs.frozen
class InvalidAllowedTarget:
    """An entry of an allow-list makes no sense."""

    text: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What was given, and what it can be."""
        return f"{self.text!r} allows no target, {self.reason}: {WHAT_IS_ALLOWED}."


@attrs.frozen
class TargetNotAllowed:
    """A target is not loopback, and nobody has allowed it.

    Attributes:
        target: its URL.
        host: the host in it.
        address: an address of that host that may not be sent to.
        allowed: what may be sent to besides loopback.
    """

    target: str
    host: str
    address: str
    allowed: tuple[str, ...]
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Where it is, what is allowed, and what to do."""
        besides = f" and {', '.join(self.allowed)}" if self.allowed else ""
        at = "" if self.address == self.host else f" is at {self.address}, and"
        return (
            f"{self.target}{at} may not be sent to: allowed are loopback{besides}. "
            f"If it is to get the data, allow it: --allow-target {self.host}, "
            f"or allowed_targets in a program."
        )


@attrs.frozen
class AllowedTarget:
    """An entry of an allow-list.

    Attributes:
        port: the only port that it allows; None: any.
        name: the host that it allows at any address; of `*.SUFFIX` the dot and what follows;
            empty: it allows addresses.
        network: the addresses that it allows; None: it allows a name.
    """

    port: int | None
    name: str = ""
    network: _Network | None = None

    def permits(self, host: str, port: int, address: str) -> bool:
        """Say whether it lets a host's *address* be connected to."""
        if self.port not in {None, port}:
            return False
        if self.network is not None:
            return _unmapped(address) in self.network
        spelled = spelled_host(host)
        return spelled.endswith(self.name) if self.name[0] == "." else spelled == self.name


def parse_allowed_target(text: str) -> Outcome[AllowedTarget, InvalidAllowedTarget]:
    """Read an entry of an allow-list.

    A name allows every address that it has; an address or a network allows every name that has
    it. Without a port it allows all ports. `*.SUFFIX` does not allow the suffix itself.

    Fails with:
        InvalidAllowedTarget: it is nothing of the kind.

    >>> allowed = parse_allowed_target("*.staging.example:4317").unwrap()
    >>> allowed.permits("otlp.staging.example", 4317, "10.0.0.7")
    True
    >>> allowed.permits("otlp.example", 4317, "10.0.0.7")
    False
    """
    if "/" in text:
        return _parse_network(text)
    host, port = _split(text)
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port) <= _MAX_PORT):
        return Failure(InvalidAllowedTarget(text, "for its port is none"))
    number = None if port is None else int(port)
    address = _address(host)
    if address is not None:
        return Success(AllowedTarget(number, network=ipaddress.ip_network(_plain(address))))
    name = spelled_host(host)
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        return Failure(InvalidAllowedTarget(text, "for it names no host"))
    return Success(AllowedTarget(number, name=name.removeprefix("*")))


def is_allowed(allowed: Sequence[str], host: str, port: int, address: str) -> bool:
    """Say whether a host's *address* may be connected to.

    Args:
        allowed: what may be besides loopback; entries that make no sense allow nothing.
        host: the host, as the URL has it.
        port: the port.
        address: an address that the host has.

    >>> is_allowed((), "localhost", 4318, "127.0.0.1"), is_allowed((), "a.example", 80, "10.0.0.7")
    (True, False)
    """
    if is_loopback(address):
        return True
    entries = map(parse_allowed_target, allowed)
    return any(
        entry.unwrap().permits(host, port, address)
        for entry in entries
        if isinstance(entry, Success)
    )


def is_loopback(address: str) -> bool:
    """Tell whether only this machine reaches an address.

    >>> [is_loopback(address) for address in ("127.8.8.8", "::1", "::ffff:127.0.0.1", "0.0.0.0")]
    [True, True, True, False]
    """
    return _unmapped(address).is_loopback


def spelled_host(host: str) -> str:
    """Return a host as names are compared: in lower case and ASCII, without the last dot.

    >>> spelled_host("Bücher.Example.")
    'xn--bcher-kva.example'
    """
    lowered = host.lower().removesuffix(".")
    try:
        return lowered if lowered.isascii() else lowered.encode("idna").decode("ascii")
    except UnicodeError:
        return lowered


def _parse_network(text: str) -> Outcome[AllowedTarget, InvalidAllowedTarget]:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        return Failure(InvalidAllowedTarget(text, f"for it is no network ({error})"))
    return Success(AllowedTarget(None, network=network))


def _split(text: str) -> tuple[str, str | None]:
    """Return a host, without brackets, and a port where there is one."""
    if _address(text) is not None:
        return text, None
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        is_whole = bool(bracket) and (not rest or rest[0] == ":")
        return (host, rest[1:] if rest else None) if is_whole else (text, None)
    host, colon, port = text.rpartition(":")
    return (host, port) if colon else (text, None)


def _address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _unmapped(address: str) -> _Address:
    return _plain(ipaddress.ip_address(address.partition("%")[0]))


def _plain(address: _Address) -> _Address:
    """Return an IPv4 address that is written as one of IPv6 as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
