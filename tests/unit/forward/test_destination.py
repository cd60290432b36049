"""What can be forwarded to."""

from pathlib import Path

import pytest

from otlp_capture.forward import Destination, InvalidDestination, is_itself, parse_destination
from otlp_capture.result import Failure, Success
from otlp_capture.sending import Endpoint


def allowed(url: str, **settings: object) -> str:
    parsed = parse_destination(url, **settings)  # type: ignore[arg-type]  # as a test has it
    assert isinstance(parsed, Failure)
    assert isinstance(parsed.failure(), InvalidDestination)
    return parsed.failure().message


class TestDestination:
    @pytest.mark.parametrize(
        ("url", "base", "is_grpc", "place"),
        [
            ("http://a:4318", "http://a:4318", False, ("a", 4318)),
            ("http://a:4318/", "http://a:4318", False, ("a", 4318)),
            ("https://a/otlp/v1/logs", "https://a/otlp", False, ("a", 443)),
            ("http://a/in/{signal}", "http://a/in/{signal}", False, ("a", 80)),
            ("grpc://a", "grpc://a", True, ("a", 4317)),
            ("grpcs://[::1]:99", "grpcs://[::1]:99", True, ("::1", 99)),
        ],
    )
    def test_these_are_some(
        self, url: str, base: str, *, is_grpc: bool, place: tuple[str, int]
    ) -> None:
        destination = parse_destination(url).unwrap()

        assert destination == Destination(Endpoint(url=base, allowed_targets=(place[0],)))
        assert (destination.url, destination.is_grpc, destination.place) == (base, is_grpc, place)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "a:4318",
            "ftp://a",
            "http://",
            "http://a:0",
            "http://a:99999",
            "http://a?key=b",
            "grpc://a b",
            "grpc://a/path",
        ],
    )
    def test_these_are_none(self, url: str) -> None:
        assert allowed(url).startswith(f"Cannot forward to {url!r}: ")

    def test_credentials_in_one_are_not_repeated(self) -> None:
        message = allowed("http://me:secret@a:4318")

        assert "secret" not in message
        assert "http://…@a:4318" in message

    def test_its_headers_are_kept_and_not_shown(self) -> None:
        headers = (("API-Key", " secret "),)

        destination = parse_destination("http://a", headers=headers).unwrap()

        assert destination.endpoint.headers == (("api-key", "secret"),)
        assert "secret" not in repr(destination)

    @pytest.mark.parametrize(
        "header",
        [
            ("content-type", "text/plain"),
            ("Host", "b"),
            ("a b", "c"),
            ("", "c"),
            ("a-bin", "c"),
            ("grpc-timeout", "1S"),
            ("a", "b\r\nc: d"),
            ("a", "é"),
        ],
    )
    def test_headers_that_cannot_be_sent_are_refused(self, header: tuple[str, str]) -> None:
        assert "header" in allowed("http://a", headers=[header])

    def test_certificates_that_cannot_be_read_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_text("no certificate")

        for name in ("ca.pem", "missing.pem"):
            assert name in allowed("https://a", ca_file=tmp_path / name)


class TestItself:
    @pytest.mark.parametrize(
        ("url", "host", "port"),
        [
            ("http://127.0.0.1:4318", "127.0.0.1", 4318),
            ("http://localhost:4318", "127.0.0.1", 4318),
            ("http://[::1]:4318", "localhost", 4318),
            ("grpc://127.0.0.1", "0.0.0.0", 4317),
            ("http://0.0.0.0:4318", "127.0.0.1", 4318),
            ("http://localhost:4318", "", 4318),
            ("http://collector:4318", "Collector", 4318),
        ],
    )
    def test_this_is_the_receiver(self, url: str, host: str, port: int) -> None:
        assert is_itself(parse_destination(url).unwrap(), host, port)

    @pytest.mark.parametrize(
        ("url", "host", "port"),
        [
            ("http://127.0.0.1:4318", "127.0.0.1", 4319),
            ("http://collector:4318", "127.0.0.1", 4318),
            ("http://10.0.0.1:4318", "10.0.0.2", 4318),
            ("http://10.0.0.1:4318", "0.0.0.0", 4318),
        ],
    )
    def test_this_is_another(self, url: str, host: str, port: int) -> None:
        assert not is_itself(parse_destination(url).unwrap(), host, port)


def test_a_destination_is_a_success() -> None:
    assert isinstance(parse_destination("http://a"), Success)
