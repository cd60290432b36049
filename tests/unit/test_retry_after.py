"""When a target wants to see a request again."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.sending.throttling import LONGEST_S, retry_after_s

NOW = 1_763_861_000_000_000_000


class TestRetryAfter:
    @given(st.integers(0, 10**9))
    def test_seconds_are_seconds(self, seconds: int) -> None:
        assert retry_after_s(f" {seconds} ", NOW) == seconds

    @given(st.integers(-(10**9), 10**8))
    def test_a_date_is_the_time_until_then(self, seconds: int) -> None:
        date = formatdate(NOW // 10**9 + seconds, usegmt=True)

        assert retry_after_s(date, NOW) == max(seconds, 0)

    @pytest.mark.parametrize(
        "date",
        [
            "Sun, 23 Nov 2025 01:23:30 GMT",
            "Sunday, 23-Nov-25 01:23:30 GMT",
            "Sun Nov 23 01:23:30 2025",
        ],
    )
    def test_all_three_forms_of_a_date_are_read(self, date: str) -> None:
        assert retry_after_s(date, NOW) == 10

    @pytest.mark.parametrize("huge", ["9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT"])
    def test_a_huge_wait_is_bounded(self, huge: str) -> None:
        assert retry_after_s(huge, NOW) == LONGEST_S

    @pytest.mark.parametrize(
        "garbage",
        ["", " ", "-5", "1.5", "+3", "soon", "١٢", "1e3", "Sun, 99 Nov 2025 99:99:99 GMT"],
    )
    def test_garbage_says_nothing(self, garbage: str) -> None:
        assert retry_after_s(garbage, NOW) is None

    def test_no_header_says_nothing(self) -> None:
        assert retry_after_s(None, NOW) is None

    @given(
        st.one_of(
            st.text(),
            st.text("0123456789 :,+-GMTSunNov", max_size=40),
            st.builds(
                "Sun, {} Nov {} {}:00:00 {}{}".format,
                st.integers(0, 99),
                st.integers(0, 10**6),
                st.integers(0, 99),
                st.sampled_from("+-"),
                st.integers(0, 10**12),
            ),
        )
    )
    def test_whatever_stands_there_is_a_wait_or_nothing(self, value: str) -> None:
        wait_s = retry_after_s(value, NOW)

        assert wait_s is None or 0 <= wait_s <= LONGEST_S
