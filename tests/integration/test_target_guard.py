"""A target must be loopback or allowed: looked at before anything is sent, and at each connect."""

import logging
import socket
from collections.abc import Iterable
from typing import Any

import anyio
import pytest

from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.result import Failure, or_raise
from otlp_capture.sending import (
    Accepted,
    Answer,
    Parcel,
    TargetNotAllowed,
    kept_back,
)
from otlp_capture.storage import S3Storage
from otlp_replay import DeliveryCounts
from tests.clocks import HANGS_AFTER_S
from tests.replays import SESSION, at_once, numbered, opened_service, over
from tests.senders import HTTP, SIDES, Side, sending
from tests.servers.processes import free_port
from tests.servers.raw_grpc_target import bodied, refusing
from tests.servers.target import open_target, refusal
from tests.sessions import arriving, write_session

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("side", SIDES, ids=str)]

REQUEST = Parcel("logs", b"request", 1)
BEYOND = "203.0.113.7"
"""An address for documentation, at which nobody listens."""


class Names:
    """What names mean, as the test says; other names are looked up."""

    def __init__(self) -> None:
        self.meanings: dict[str, Iterable[str]] = {}
        self.lookups: list[str] = []
        self.connects: list[str] = []
        self._look_up = socket.getaddrinfo

    def __call__(self, host: Any, port: Any, *args: Any, **named: Any) -> Any:
        self.lookups.append(host)
        meant = self.meanings.get(host, (host,))
        return [info for each in meant for info in self._look_up(each, port, *args, **named)]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Let the test say what names mean."""
    fake = Names()
    monkeypatch.setattr(socket, "getaddrinfo", fake)
    return fake


async def attempt(transport: Any) -> Answer:
    with anyio.fail_after(HANGS_AFTER_S):
        answer: Answer = await transport.attempt(REQUEST, lambda: None)
        return answer


def url_of(side: Side, host: str, port: int) -> str:
    return f"{'http' if side is HTTP else 'grpc'}://{host}:{port}"


class TestBeforeAnythingIsSent:
    @pytest.mark.parametrize("host", [BEYOND, "production.example"])
    async def test_a_target_that_nobody_has_allowed_is_refused(
        self, side: Side, memory: S3Storage, names: Names, host: str
    ) -> None:
        names.meanings["production.example"] = (BEYOND,)
        await write_session(memory, SESSION, arriving(numbered(3)))
        url = url_of(side, host, 4318)
        async with opened_service(memory, SYSTEM_CLOCK) as service:
            started = await service.start_replay(
                at_once(url, protocol=side.protocol, allowed_targets=("staging.example",))
            )

        assert started == Failure(TargetNotAllowed(url, host, BEYOND, ("staging.example",)))

    async def test_one_that_is_allowed_by_name_is_not(
        self, side: Side, memory: S3Storage, names: Names
    ) -> None:
        names.meanings["staging.example"] = ("127.0.0.1",)
        await write_session(memory, SESSION, arriving(numbered(3)))
        async with (
            side.target(lambda _: side.taking) as target,
            opened_service(memory, SYSTEM_CLOCK) as service,
        ):
            url = url_of(side, "staging.example", target.port)
            or_raise(await service.start_replay(at_once(url, protocol=side.protocol)))
            status = await over(service)

        assert status.delivery == DeliveryCounts(delivered=3)


class TestEachConnection:
    async def test_an_address_in_the_url_is_not_connected_to(self, side: Side) -> None:
        url = url_of(side, BEYOND, 4318)
        async with sending(side, url) as transport:
            answer = await attempt(transport)

        assert answer == kept_back(TargetNotAllowed(url, BEYOND, BEYOND, ()))

    @pytest.mark.parametrize(
        ("host", "is_loopback"),
        [
            ("0.0.0.0", False),
            ("[::]", False),
            ("[::ffff:203.0.113.7]", False),
            ("3405803783", False),
            ("[::ffff:127.0.0.1]", True),
            ("0x7f000001", True),
        ],
    )
    async def test_odd_spellings_are_taken_for_what_they_mean(
        self, side: Side, host: str, *, is_loopback: bool
    ) -> None:
        async with (
            side.target(lambda _: side.taking) as target,
            sending(side, url_of(side, host, target.port)) as transport,
        ):
            answer = await attempt(transport)

        assert (answer == Accepted(status=side.taken)) == is_loopback
        assert len(target.received) == int(is_loopback)

    async def test_a_name_that_begins_to_mean_another_machine_is_refused(
        self, side: Side, names: Names
    ) -> None:
        names.meanings["rebound.example"] = ("127.0.0.1",)
        async with side.target(
            lambda came: side.taking if not came.number else side.reset
        ) as target:
            url = url_of(side, "rebound.example", target.port)
            async with sending(side, url) as transport:
                assert await attempt(transport) == Accepted(status=side.taken)
                names.meanings["rebound.example"] = (BEYOND,)
                answers = [await attempt(transport) for _ in range(3)]

        # The connection that there was is to where the name led; there is no other.
        assert len(target.received) == 2
        assert answers[1:] == [kept_back(TargetNotAllowed(url, "rebound.example", BEYOND, ()))] * 2

    async def test_only_the_addresses_that_are_allowed_are_connected_to(
        self, side: Side, names: Names
    ) -> None:
        names.meanings["both.example"] = (BEYOND, "127.0.0.1")
        async with (
            side.target(lambda _: side.taking) as target,
            sending(side, url_of(side, "both.example", target.port)) as transport,
        ):
            answer = await attempt(transport)

        assert answer == Accepted(status=side.taken)

    async def test_what_was_checked_is_what_is_connected_to(self, side: Side, names: Names) -> None:
        """The name is looked up once a connection: nobody can change its meaning in between."""
        names.meanings["once.example"] = ("127.0.0.1",)
        async with (
            side.target(lambda _: side.taking) as target,
            sending(side, url_of(side, "once.example", target.port)) as transport,
        ):
            for _ in range(5):
                assert await attempt(transport) == Accepted(status=side.taken)

        assert names.lookups.count("once.example") == target.connections == 1

    async def test_a_name_of_both_families_is_reached_by_either(
        self, side: Side, names: Names
    ) -> None:
        names.meanings["both.example"] = ("::1", "127.0.0.1")
        async with (
            side.target(lambda _: side.taking) as target,
            sending(side, url_of(side, "both.example", target.port)) as transport,
        ):
            answer = await attempt(transport)

        assert answer == Accepted(status=side.taken)

    async def test_a_name_that_means_nothing_is_no_answer(self, side: Side) -> None:
        async with sending(side, url_of(side, "nowhere.invalid", 4318)) as transport:
            answer = await attempt(transport)

        assert getattr(answer, "may_have_arrived", None) is False
        assert getattr(answer, "obstacle", "") is None

    async def test_a_replay_whose_target_moves_breaks_off(
        self, side: Side, memory: S3Storage, names: Names
    ) -> None:
        names.meanings["moving.example"] = ("127.0.0.1",)
        await write_session(memory, SESSION, arriving(numbered(300), every=0))

        def script(came: Any) -> Any:
            if came.number < 5:
                return side.taking
            names.meanings["moving.example"] = (BEYOND,)
            return side.reset

        async with (
            side.target(script) as target,
            opened_service(memory, SYSTEM_CLOCK) as service,
        ):
            url = url_of(side, "moving.example", target.port)
            config = at_once(url, protocol=side.protocol, max_in_flight=1)
            or_raise(await service.start_replay(config))
            with anyio.fail_after(HANGS_AFTER_S):
                status = await over(service)

        assert status.error == TargetNotAllowed(url, "moving.example", BEYOND, ())
        assert status.delivery == DeliveryCounts(delivered=5, unknown=1, not_sent=294)
        assert status.not_sent_reasons == {"TargetNotAllowed": 294}


class TestDetours:
    async def test_proxies_of_the_environment_are_not_used(
        self, side: Side, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proxy = f"http://127.0.0.1:{free_port()}"
        for name in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy)
            monkeypatch.setenv(name.upper(), proxy)
        for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
            monkeypatch.delenv(name, raising=False)
        async with (
            side.target(lambda _: side.taking) as target,
            sending(side, target.url) as transport,
        ):
            assert await attempt(transport) == Accepted(status=side.taken)

    async def test_redirects_are_not_followed(self, side: Side) -> None:
        async with open_target() as elsewhere:
            location = f"{elsewhere.url}/v1/logs"
            action: Any = refusal(307, Location=location)
            if side is not HTTP:
                action = bodied((":status", "307"), ("location", location))
            async with (
                side.target(lambda _: action) as target,
                sending(side, target.url) as transport,
            ):
                answer = await attempt(transport)

        assert getattr(answer, "is_retryable", None) is False
        assert elsewhere.received == []


class TestToken:
    SECRET = "tell-nobody-0123456789"

    async def test_what_a_target_says_back_is_not_told(
        self,
        side: Side,
        memory: S3Storage,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        said = f"no such token: Bearer {self.SECRET}"
        action: Any = refusal(401, said)
        if side is not HTTP:
            action = refusing(("grpc-status", "16"), ("grpc-message", said))
        await write_session(memory, SESSION, arriving(numbered(1)))
        async with side.target(lambda _: action) as target:
            async with opened_service(memory, SYSTEM_CLOCK) as service:
                config = at_once(target.url, protocol=side.protocol, bearer_token=self.SECRET)
                or_raise(await service.start_replay(config))
                status = await over(service)
            async with sending(side, target.url, bearer_token=self.SECRET) as transport:
                answer = await attempt(transport)

        assert status.delivery == DeliveryCounts(rejected=1)
        assert "no such token: Bearer ****" in getattr(answer, "reason", "")
        told = (
            f"{caplog.text} {status!r} {answer!r} {config!r} {transport!r} {transport.__dict__!r}"
        )
        assert self.SECRET not in told
