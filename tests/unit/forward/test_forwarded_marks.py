"""What anybody may have written into the header that marks forwarded requests."""

import pytest

from otlp_capture.forward import FORWARDED_HEADER, forwarded_by


@pytest.mark.parametrize(
    "value", ["\udcff\udcfe", "é", "a\tb", "a\nx: y", "a\0", "a b", "x" * 65, "", ",,"]
)
def test_what_is_no_name_is_not_passed_on(value: str) -> None:
    came = ((FORWARDED_HEADER, f"a1,{value}"), (FORWARDED_HEADER, "b2"))

    assert forwarded_by(came) == ("a1", "b2")
