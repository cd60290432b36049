"""Requests that come again."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.forward.resends import Resends, digest

pytestmark = pytest.mark.anyio


class TestResends:
    @given(st.lists(st.tuples(st.booleans(), st.sampled_from([b"a", b"b", b"c"]))))
    def test_each_is_recognised_as_often_as_it_is_expected(
        self, steps: list[tuple[bool, bytes]]
    ) -> None:
        resends, expected = Resends(limit=3), Counter[bytes]()
        for is_refused, request in steps:
            if is_refused:
                resends.expect(request)
                expected[request] += 1
                continue
            assert resends.recognise(request) == (expected[request] > 0)
            expected[request] = max(expected[request] - 1, 0)

    def test_only_the_latest_are_remembered(self) -> None:
        resends = Resends(limit=2)
        for request in (b"a", b"b", b"a", b"c"):
            resends.expect(request)

        assert [resends.recognise(request) for request in (b"b", b"a", b"a", b"c")] == [
            False,
            True,
            True,
            True,
        ]


class TestDigest:
    @pytest.mark.parametrize("size", [0, 1, 1 << 20])
    async def test_signal_and_body_make_it(self, size: int) -> None:
        body = bytes(size)
        assert await digest("logs", body) == await digest("logs", bytes(size))
        assert await digest("logs", body) != await digest("traces", body)
        assert await digest("logs", body) != await digest("logs", body + b"x")
