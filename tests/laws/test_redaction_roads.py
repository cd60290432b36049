"""The compiled redaction is the same function as the road through messages."""

from typing import Any, TypeAlias
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.otlp import PLACES, SIGNALS, Signal
from otlp_capture.redaction.policy import RulePolicy
from tests.redactions import any_rules, full_request, redactor, set_value, with_attributes
from tests.roads import Roads, compiled_walk
from tests.strategies import (
    REQUEST_TYPES,
    length_delimited,
    mutations,
    otlp_requests,
    unknown_fields,
    varint,
)

Case: TypeAlias = tuple[Signal, bytes]

requests = otlp_requests()
known_requests = otlp_requests(unknown=st.just(b""))
HASH = {"on": "attributes", "action": "hash"}
MASK = {"on": "attributes", "action": "mask", "pattern": "[a-z]"}
DROP = {"on": "attributes", "action": "drop", "key": ["k", "k.*"]}


@pytest.fixture(scope="module")
def roads() -> Roads:
    return Roads(compiled_walk())


def policy(uses: Any) -> RulePolicy:
    return RulePolicy(uses.rules)


class TestTheRoadsAgree:
    @given(known_requests, any_rules)
    def test_on_requests_that_the_walk_redacts_by_itself(
        self, roads: Roads, case: Case, uses: Any
    ) -> None:
        signal, request = case

        assert roads.redact(request, signal, policy(uses))

    @given(requests, any_rules)
    def test_on_requests_with_unknown_fields(self, roads: Roads, case: Case, uses: Any) -> None:
        signal, request = case

        roads.redact(request, signal, policy(uses))

    @given(mutations(requests), any_rules)
    def test_on_mutated_bytes(self, roads: Roads, case: Case, uses: Any) -> None:
        signal, body = case

        roads.redact(body, signal, policy(uses))

    @given(st.binary(max_size=200), st.sampled_from(SIGNALS), any_rules)
    def test_on_noise(self, roads: Roads, body: bytes, signal: Signal, uses: Any) -> None:
        roads.redact(body, signal, policy(uses))

    @given(requests, requests, any_rules)
    def test_on_one_request_after_another(
        self, roads: Roads, one: Case, other: Case, uses: Any
    ) -> None:
        same = policy(uses)
        for signal, request in (one, other, one):
            roads.redact(request, signal, same)

    @pytest.mark.parametrize("action", ["drop", "hash", "mask"])
    @pytest.mark.parametrize("signal", SIGNALS)
    def test_on_every_message_there_is(self, roads: Roads, signal: Signal, action: str) -> None:
        rule: dict[str, Any] = {"on": list(PLACES), "action": action}
        if action == "mask":
            rule["pattern"] = "secret"

        request = full_request(signal, "secret" * 40)

        assert roads.redact(request, signal, policy(redactor(rule)))

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["k", "k.a", "long" * 20, "x"]),
                st.sampled_from(["", "a" * 200, b"a" * 200, 7, True, 1.5, None, ["a"], {"a": "b"}]),
            ),
            max_size=8,
        ),
        st.sampled_from([[HASH], [MASK], [DROP], [DROP, HASH], [DROP, MASK], [MASK, HASH]]),
        st.sampled_from(SIGNALS),
    )
    def test_on_values_of_every_kind_and_length(
        self, roads: Roads, attributes: list[Any], rules: list[Any], signal: Signal
    ) -> None:
        request = with_attributes(signal, *attributes)

        assert roads.redact(request, signal, policy(redactor(*rules)))

    @given(
        st.permutations(["key", "value", "before"]),
        unknown_fields,
        st.one_of(st.just(b""), unknown_fields),
        st.sampled_from([HASH, MASK, DROP]),
    )
    def test_on_attributes_that_no_client_writes(
        self, roads: Roads, order: list[str], before: bytes, after: bytes, rule: Any
    ) -> None:
        parts = {
            "key": length_delimited(1, b"k"),
            "value": length_delimited(2, after + length_delimited(1, b"text") + after),
            "before": before,
        }
        attribute = length_delimited(9, b"".join(parts[name] for name in order) + after)
        span = length_delimited(2, attribute + after + attribute)
        request = length_delimited(1, length_delimited(2, span) + after)

        roads.redact(request, "traces", policy(redactor(rule)))
        roads.redact(request, "traces", policy(redactor(rule, unknown_fields="keep")))


def test_lengths_of_several_bytes_are_filled_in_at_every_level(
    roads: Roads,
) -> None:
    for size in (0, 1, 90, 127, 128, 16_300, 16_384, 70_000):
        message = REQUEST_TYPES["logs"]()
        record = message.resource_logs.add().scope_logs.add().log_records.add()
        set_value(record.body, {"a": "x" * size, "b": ["y" * size]})
        set_value(record.attributes.add(key="k").value, "z" * size)
        rule = {"on": list(PLACES), "action": "mask", "pattern": "[xyz]{1,10}"}
        for replacement in ("", "?" * 256):
            uses = redactor({**rule, "replacement": replacement}, max_value_bytes=1 << 20)

            assert roads.redact(message.SerializeToString(), "logs", policy(uses))


def test_what_lies_between_edits_stays_byte_for_byte(roads: Roads) -> None:
    padded = b"\x8a\x00\x80\x00"
    attribute = length_delimited(1, length_delimited(1, b"k"))
    dropped = length_delimited(1, length_delimited(1, attribute))
    request = length_delimited(1, b"\x1a\x00") + padded + dropped + padded

    done = roads.kernel.redact(request, "logs", policy(redactor(DROP | {"key": "k"}))).unwrap()

    shell = length_delimited(1, length_delimited(1, b""))
    assert done.request == length_delimited(1, b"\x1a\x00") + padded + shell + padded


@pytest.mark.parametrize(
    "body",
    [
        varint(500 << 3 | 3) + varint(500 << 3 | 4),
        length_delimited(1, length_delimited(1, b"") + length_delimited(1, b"")),
        b"\x0a\x05",
    ],
)
def test_groups_and_what_repeats_and_what_is_torn_are_handed_over(
    roads: Roads, body: bytes
) -> None:
    assert roads.kernel.redact(body, "logs", policy(redactor(DROP))) is None


def test_what_is_remembered_of_a_policy_goes_with_it(roads: Roads) -> None:
    uses = policy(redactor(HASH, DROP))
    remembered = ref(uses)
    roads.redact(full_request("logs", "secret"), "logs", uses)

    del uses

    assert remembered() is None
