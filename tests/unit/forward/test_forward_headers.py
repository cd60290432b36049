"""What a forwarded request says besides its body."""

from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.forward import FORWARDED_HEADER, forwarded_by
from otlp_capture.forward.headers import check_header, passed_on

KEPT = (
    ("X-Scope-OrgID", "a"),
    ("content-type", "application/json"),
    ("host", "capture:4318"),
    ("x-note", "größer"),
    (FORWARDED_HEADER, "forged"),
)


class TestPassedOn:
    def test_what_can_be_sent_is_and_what_the_transport_says_is_not(self) -> None:
        assert passed_on(KEPT, ("a1",)) == (("x-scope-orgid", "a"), (FORWARDED_HEADER, "a1"))

    @given(st.lists(st.tuples(st.text(), st.text())).map(tuple))
    def test_only_what_can_be_sent_is(self, kept: tuple[tuple[str, str], ...]) -> None:
        *passed, mark = passed_on(kept, ("a1", "b2"))

        assert all(check_header(*header) is None for header in passed)
        assert forwarded_by((mark,)) == ("a1", "b2")
