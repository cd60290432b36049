"""Which targets may be sent to."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.result import Failure, Success
from otlp_capture.sending import (
    TargetNotAllowed,
    is_loopback,
    parse_allowed_target,
)
from otlp_capture.sending.targets import is_allowed

ADDRESSES = st.ip_addresses().map(str)


class TestLoopback:
    @pytest.mark.parametrize(
        "address", ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"]
    )
    def test_it_needs_no_permission(self, address: str) -> None:
        assert is_allowed((), "any.example", 4318, address)

    @given(address=ADDRESSES)
    def test_nothing_else_is_allowed_by_itself(self, address: str) -> None:
        assert is_allowed((), "localhost", 4318, address) == is_loopback(address)


class TestEntries:
    @pytest.mark.parametrize(
        ("entry", "host", "port", "address"),
        [
            ("collector", "collector", 4318, "10.0.0.7"),
            ("Collector.", "collector", 4318, "10.0.0.7"),
            ("collector", "COLLECTOR.", 4318, "10.0.0.7"),
            ("collector:4318", "collector", 4318, "10.0.0.7"),
            ("bücher.example", "xn--bcher-kva.example", 4318, "10.0.0.7"),
            ("*.staging.example", "a.b.staging.example", 4318, "10.0.0.7"),
            ("*.staging.example:4318", "a.staging.example", 4318, "10.0.0.7"),
            ("10.0.0.7", "collector", 4318, "10.0.0.7"),
            ("10.0.0.7:4318", "10.0.0.7", 4318, "10.0.0.7"),
            ("10.0.0.7", "10.0.0.7", 4318, "::ffff:10.0.0.7"),
            ("::ffff:10.0.0.7", "10.0.0.7", 4318, "10.0.0.7"),
            ("10.0.0.0/8", "collector", 4318, "10.9.9.9"),
            ("fd00::/8", "collector", 4318, "fd12::1"),
            ("fd00::1", "fd00::1", 4318, "fd00::1"),
            ("[fd00::1]", "fd00::1", 4318, "fd00::1"),
            ("[fd00::1]:4318", "fd00::1", 4318, "fd00::1"),
            ("fe80::/10", "printer", 4318, "fe80::1%eth0"),
        ],
    )
    def test_this_is_allowed(self, entry: str, host: str, port: int, address: str) -> None:
        assert is_allowed(("other", entry), host, port, address)

    @pytest.mark.parametrize(
        ("entry", "host", "port", "address"),
        [
            ("collector", "collector.example", 4318, "10.0.0.7"),
            ("collector", "my-collector", 4318, "10.0.0.7"),
            ("collector:4317", "collector", 4318, "10.0.0.7"),
            ("*.staging.example", "staging.example", 4318, "10.0.0.7"),
            ("*.staging.example", "a.staging.example.evil", 4318, "10.0.0.7"),
            ("*.staging.example", "notstaging.example", 4318, "10.0.0.7"),
            ("10.0.0.7", "10.0.0.7", 4318, "10.0.0.8"),
            ("10.0.0.0/8", "10.example", 4318, "11.0.0.1"),
            ("10.0.0.7:4317", "10.0.0.7", 4318, "10.0.0.7"),
            ("fd00::1", "fd00::1", 4318, "fd00::2"),
            ("0.0.0.0/0", "collector", 4318, "fd00::2"),
        ],
    )
    def test_this_is_not(self, entry: str, host: str, port: int, address: str) -> None:
        assert isinstance(parse_allowed_target(entry), Success)
        assert not is_allowed((entry,), host, port, address)

    @pytest.mark.parametrize(
        "entry",
        [
            "",
            "*",
            "*.",
            ".example",
            "a*.example",
            "a.*.example",
            "a b",
            "a:",
            "a:0",
            "a:65536",
            "a:port",
            "a:٤",
            ":4318",
            "[fd00::1",
            "[fd00::1]4318",
            "http://a",
            "a/b",
            "10.0.0.7/8",
            "10.0.0.0/33",
            "user@a",
            "-a",
            "a..b",
            f"{'a' * 64}.example",
            ".".join(["a" * 60] * 5),
        ],
    )
    def test_this_allows_nothing(self, entry: str) -> None:
        problem = parse_allowed_target(entry).failure()

        assert repr(entry) in problem.message
        assert "*.SUFFIX" in problem.message
        assert not is_allowed((entry,), entry, 4318, "10.0.0.7")

    @given(network=st.ip_addresses(), bits=st.integers(0, 128), address=st.ip_addresses())
    def test_a_network_allows_its_own_addresses(
        self,
        network: ipaddress.IPv4Address | ipaddress.IPv6Address,
        bits: int,
        address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    ) -> None:
        within = ipaddress.ip_network(
            f"{network}/{bits % (network.max_prefixlen + 1)}", strict=False
        )
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        plain = mapped or address

        allowed = is_allowed((str(within),), "a.example", 1, str(address))

        assert allowed == (plain in within or plain.is_loopback)

    @given(text=st.text(max_size=30))
    def test_any_text_is_an_entry_or_none(self, text: str) -> None:
        assert isinstance(parse_allowed_target(text), Success | Failure)


def test_a_refusal_says_where_it_is_and_what_to_do() -> None:
    refusal = TargetNotAllowed("http://prod:4318", "prod", "10.0.0.7", ("staging", "10.1.0.0/16"))

    assert refusal.message == (
        "http://prod:4318 is at 10.0.0.7, and may not be sent to: allowed are loopback and "
        "staging, 10.1.0.0/16. If it is to get the data, allow it: --allow-target prod, or "
        "allowed_targets in a program."
    )
