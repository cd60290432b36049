"""The file that says who may send, and what is told of its faults."""

import hashlib
import json
import logging
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.receiver.credentials import (
    Client,
    Credentials,
    InvalidCredential,
    Token,
    credentials_of_token,
    read_credentials,
)
from otlp_capture.receiver.files import FileUnreadable
from otlp_capture.result import Failure, Success

SECRET = "a-Canary.that_is~long+enough/=="
ANOTHER = "another-canary-of-some-length"


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def written(folder: Path, content: str | bytes) -> str:
    path = folder / "tokens.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(0o600)
    return str(path)


class TestReading:
    def test_tokens_stand_as_they_are_as_digests_or_in_variables(self, tmp_path: Path) -> None:
        path = written(
            tmp_path,
            f"""
            [[token]]
            name = "shop"
            token = "{SECRET}"
            [[token]]
            name = "bank"
            sha256 = "{digest(ANOTHER).hex().upper()}"
            session = "bank-1"
            [[token]]
            name = "post"
            env = "POST_TOKEN"
            [[client]]
            name = "edge.example"
            session = "edge"
            [[client]]
            name = "spiffe://a/b"
            """,
        )

        assert read_credentials(path, {"POST_TOKEN": "x" * 16}) == Success(
            Credentials(
                (
                    Token("shop", digest(SECRET)),
                    Token("bank", digest(ANOTHER), "bank-1"),
                    Token("post", digest("x" * 16)),
                ),
                (Client("edge.example", "edge"), Client("spiffe://a/b")),
            )
        )

    def test_the_sessions_that_are_named_are_known(self) -> None:
        tokens = (Token("a", b"a", "two"), Token("b", b"b", "one"), Token("c", b"c"))

        assert Credentials(tokens, (Client("d", "two"),)).session_ids == ("one", "two")

    def test_a_variable_holds_a_token_of_its_own(self) -> None:
        read = credentials_of_token(SECRET)

        assert read == Success(Credentials((Token("OTLP_CAPTURE_TOKEN", digest(SECRET)),)))

    @pytest.mark.parametrize("secret", ["", "short", "with a space in it", "x" * 15])
    def test_a_variable_that_holds_no_token_is_told(self, secret: str) -> None:
        error = credentials_of_token(secret).failure()

        assert (error.source, error.where) == ("The environment", "OTLP_CAPTURE_TOKEN")

    @pytest.mark.parametrize(("mode", "warnings"), [(0o600, 0), (0o640, 0), (0o644, 1)])
    def test_that_others_can_read_the_file_is_logged(
        self, mode: int, warnings: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = written(tmp_path, f'[[token]]\nname = "a"\ntoken = "{SECRET}"\n')
        Path(path).chmod(mode)

        assert isinstance(read_credentials(path, {}), Success)
        assert (
            caplog.record_tuples
            == [
                (
                    "otlp_capture.receiver.files",
                    logging.WARNING,
                    f"Every user of this machine can read {path} (mode 644)",
                )
            ]
            * warnings
        )


class TestFaults:
    def test_a_file_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        path = str(tmp_path / "none.toml")

        assert read_credentials(path, {}) == Failure(
            FileUnreadable(path, "No such file or directory")
        )

    def test_a_path_that_cannot_be_is_told(self) -> None:
        assert isinstance(read_credentials("\0", {}).failure(), FileUnreadable)

    def test_a_file_that_is_no_text_or_too_large_is_told(self, tmp_path: Path) -> None:
        for content in (b"\xff", b"#" * 300_000):
            error = read_credentials(written(tmp_path, content), {}).failure()
            assert isinstance(error, FileUnreadable)

    @pytest.mark.parametrize(
        ("content", "where", "reason"),
        [
            ("", "at its top", "there is neither a [[token]] nor a [[client]]"),
            ("tokens = 1", "at its top", "'tokens' is not known; token, client are"),
            ("token = 1", "at its top", "token is no list of tables; write [[token]] above each"),
            ("token = [1]", "[[token]] number 1", "it is no table; write [[token]] above its keys"),
            (f'name = "a"\n{SECRET}', "line 2, column 17", "it is no TOML"),
            ('[[token]]\ntoken = "S', "at its end", "it is no TOML"),
            (
                '[[token]]\ntoken = "S"',
                "[[token]] number 1",
                "it needs a name, of 1 to 200 printable ASCII characters",
            ),
            (
                '[[token]]\nname = "a\\u000ab"\ntoken = "S"',
                "[[token]] number 1",
                "it needs a name, of 1 to 200 printable ASCII characters",
            ),
            (
                '[[token]]\nname = "a"\ntoken = "S"\nsesion = "s"',
                "[[token]] number 1",
                "'sesion' is not known; name, token, sha256, env, session are",
            ),
            (
                '[[token]]\nname = "a"\ntoken = "S"\nKEY = "s"',
                "[[token]] number 1",
                "a key is not known; name, token, sha256, env, session are",
            ),
            (
                '[[token]]\nname = "a"\ntoken = "S"\nsession = "../S"',
                "[[token]] number 1",
                (
                    "its session is no session id: 1 to 128 letters, digits, '.', '_' and '-', "
                    "a letter or a digit first, and no '..'"
                ),
            ),
            ('[[token]]\nname = "a"\ntoken = 7', "[[token]] number 1", "token is no string"),
            (
                '[[token]]\nname = "a"',
                "[[token]] number 1",
                "it has no secret; it needs one of token, sha256, env",
            ),
            (
                '[[token]]\nname = "a"\ntoken = "S"\nenv = "S"',
                "[[token]] number 1",
                "it has token and env; it needs one of token, sha256, env",
            ),
            (
                '[[token]]\nname = "a"\ntoken = "S"\n[[token]]\nname = "b"\ntoken = "short"',
                "[[token]] number 2",
                "the token has fewer than 16 characters",
            ),
            (
                '[[token]]\nname = "a"\ntoken = "S S"',
                "[[token]] number 1",
                "the token has characters that are not visible ASCII",
            ),
            (
                '[[token]]\nname = "a"\nsha256 = "S"',
                "[[token]] number 1",
                "sha256 is not 64 hexadecimal digits",
            ),
            (
                '[[token]]\nname = "a"\nenv = "S"',
                "[[token]] number 1",
                "the variable that env names is not set",
            ),
            (
                '[[token]]\nname = "a"\ntoken = "S"\n[[token]]\nname = "b"\ntoken = "S"',
                "[[token]] number 2",
                "an entry above has the same token",
            ),
            (
                '[[client]]\nname = "a"\n[[client]]\nname = "a"',
                "[[client]] number 2",
                "an entry above has the same name",
            ),
            (
                '[[client]]\nname = "a"\ntoken = "S"',
                "[[client]] number 1",
                "'token' is not known; name, session are",
            ),
        ],
    )
    def test_the_place_is_told_and_never_the_secret(
        self, content: str, where: str, reason: str, tmp_path: Path
    ) -> None:
        spelled = content.replace('"S"', f'"{SECRET}"').replace("KEY", "c" * 16)
        path = written(tmp_path, spelled.replace("S S", f"{SECRET} {SECRET}"))

        read = read_credentials(path, {})

        assert read == Failure(InvalidCredential(path, where, reason))
        assert SECRET not in f"{read!r} {read.failure().message}"

    @given(
        where=st.sampled_from(["token", "sha256", "env", "session", "other", "name"]),
        # Of letters that no word of an error is made of.
        secret=st.text("QZX#%+0123456789", min_size=16),
        noise=st.sampled_from(["", "\n=", "\n[", "\n[[token]]", '\ntoken = "']),
    )
    def test_whatever_is_wrong_no_error_has_what_the_file_holds(
        self, where: str, secret: str, noise: str, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        name = "" if where == "name" else 'name = "a"\n'
        content = f"[[token]]\n{name}{where} = {json.dumps(secret)}{noise}"
        path = written(tmp_path_factory.getbasetemp(), content)

        read = read_credentials(path, {})

        said = re.sub(re.escape(path), "", f"{read!r}")
        said += read.failure().message if isinstance(read, Failure) else ""
        assert where == "name" or secret not in said
        assert digest(secret).hex() not in said


class TestRepr:
    def test_neither_secret_nor_digest_is_in_it(self) -> None:
        token = Token("shop", digest(SECRET))

        assert repr(Credentials((token,))) == (
            "Credentials(tokens=(Token(name='shop', session_id=None),), clients=())"
        )


class TestComparing:
    @given(
        secrets=st.lists(st.binary(min_size=1), min_size=1, max_size=5, unique=True),
        sent=st.binary(),
        data=st.data(),
    )
    def test_a_token_is_found_exactly_where_it_is_sent(
        self, secrets: list[bytes], sent: bytes, data: st.DataObject
    ) -> None:
        tokens = [Token(str(n), hashlib.sha256(each).digest()) for n, each in enumerate(secrets)]
        credentials = Credentials(tuple(tokens))
        right = data.draw(st.sampled_from(secrets))

        assert credentials.token_of(right) == tokens[secrets.index(right)]
        assert (credentials.token_of(sent) is None) == (sent not in secrets)

    def test_every_token_is_compared_whichever_was_sent(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        compared: list[tuple[bytes, bytes]] = []

        def compare(one: bytes, other: bytes) -> bool:
            compared.append((one, other))
            return one == other

        monkeypatch.setattr("otlp_capture.receiver.credentials.hmac.compare_digest", compare)
        secrets = [bytes([letter]) * 16 for letter in b"abc"]
        tokens = tuple(Token(str(each), hashlib.sha256(each).digest()) for each in secrets)

        for sent in (*secrets, b"none of them"):
            Credentials(tokens).token_of(sent)

        sought = [hashlib.sha256(sent).digest() for sent in (*secrets, b"none of them")]
        assert compared == [(token.digest, each) for each in sought for token in tokens]
