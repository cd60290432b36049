"""What the patterns by name find, and what they leave."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.redaction import PRESETS

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def masked(name: str, text: str) -> str:
    return re.sub(PRESETS[name], "***", text)


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        ("email", "to jane.doe+x@shop.co.uk.", "to ***."),
        ("email", "<jürgen@größe.example>, a@b", "<***>, a@b"),
        ("credit_card", "4111 1111 1111 1111, 4111-1111-1111-1111", "***, ***"),
        ("credit_card", "5500005555555559;378282246310005;30569309025904", "***;***;***"),
        (
            "credit_card",
            "1700000000000000000 and 411111111111",
            "1700000000000000000 and 411111111111",
        ),
        ("jwt", f"token={JWT}&x", "token=***&x"),
        ("jwt", "eyJ.a.b", "eyJ.a.b"),
        ("bearer", "Authorization: Bearer abc.def-_~+/=, next", "Authorization: ***, next"),
        ("bearer", "authorization=bearer%20abc", "authorization=***"),
        ("ipv4", "from 10.0.0.255:80, 256.1.1.1.", "from ***:80, 256.1.1.1."),
        ("ipv4", "at 192.168.1.1. Version 1.2.3.4.5", "at ***. Version 1.2.3.4.5"),
        (
            "aws_access_key",
            "AKIAIOSFODNN7EXAMPLE xAKIAIOSFODNN7EXAMPLE",
            "*** xAKIAIOSFODNN7EXAMPLE",
        ),
    ],
)
def test_a_pattern_finds_what_its_name_says(name: str, text: str, left: str) -> None:
    assert masked(name, text) == left


@given(st.sampled_from(sorted(PRESETS)), st.text(alphabet="eyJ.-@4Bearer 01AKI", max_size=200))
def test_masking_again_changes_nothing(name: str, text: str) -> None:
    once = masked(name, text)

    assert masked(name, once) == once


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_none_matches_the_empty_text(name: str) -> None:
    assert re.search(PRESETS[name], "") is None
