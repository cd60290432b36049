"""Laws of redaction, over requests of every kind."""

from pathlib import Path
from typing import Any, TypeAlias

from hypothesis import assume, given
from hypothesis import strategies as st

from otlp_capture import otlp
from otlp_capture.otlp import ATTRIBUTE_PLACES, PLACES, TEXT_PLACES, Signal
from otlp_capture.otlp.messages import request_table
from otlp_capture.otlp.places import place_of
from otlp_capture.otlp.redact import redact_by_parsing
from otlp_capture.otlp.tables import reachable_from
from otlp_capture.otlp.wire import hides_values, holds_unknown_fields
from otlp_capture.redaction import Redactor, RuleSet
from otlp_capture.redaction.policy import RulePolicy
from otlp_capture.redaction.toml import read_rules
from otlp_capture.result import or_raise
from tests.redactions import (
    BEYOND_RULES,
    any_rules,
    defaults,
    redactor,
    rule_sets,
    texts_in,
    with_attributes,
)
from tests.roads import is_sound
from tests.strategies import length_delimited, mutations, otlp_requests
from tests.walks import messages_in, parse, without_unknown_fields

Case: TypeAlias = tuple[Signal, bytes]

known_requests = otlp_requests(unknown=st.just(b""))


@given(otlp_requests(), any_rules)
def test_records_are_neither_added_nor_removed(case: Case, uses: Any) -> None:
    signal, request = case

    done = or_raise(uses.redact(request, signal))

    was, now = (or_raise(otlp.scan(each, signal)) for each in (request, done.request))
    assert now.record_count == was.record_count
    assert (now.min_time_unix_nano, now.max_time_unix_nano) == (
        was.min_time_unix_nano,
        was.max_time_unix_nano,
    )


@given(otlp_requests(), any_rules)
def test_what_is_changed_is_counted_and_only_that(case: Case, uses: Any) -> None:
    signal, request = case

    done = or_raise(uses.redact(request, signal))

    assert (done.request is request) == (not done.counts)
    assert parse(done.request, signal) != parse(request, signal) or not done.counts
    assert dict(uses.counts) == dict(done.counts)


@given(otlp_requests(), rule_sets("allow", "drop"), defaults)
def test_what_was_dropped_stays_dropped(case: Case, made: list[Any], default: Any) -> None:
    signal, request = case
    uses = redactor(*made, default=default)

    once = or_raise(uses.redact(request, signal)).request

    assert or_raise(uses.redact(once, signal)).request is once


@given(otlp_requests(), st.sampled_from(["[a-z]+", ".", "\x00"]))
def test_what_was_masked_stays_masked(case: Case, pattern: str) -> None:
    signal, request = case
    uses = redactor({"on": list(PLACES), "action": "mask", "pattern": pattern, "replacement": ""})

    once = or_raise(uses.redact(request, signal)).request

    assert or_raise(uses.redact(once, signal)).request is once


@given(otlp_requests())
def test_unknown_fields_are_gone_wherever_they_were(case: Case) -> None:
    signal, request = case

    done = or_raise(redactor().redact(request, signal)).request

    assert parse(done, signal) == without_unknown_fields(parse(request, signal))


@given(otlp_requests())
def test_unknown_fields_stay_where_the_rules_say_so(case: Case) -> None:
    signal, request = case

    assert or_raise(redactor(unknown_fields="keep").redact(request, signal)).request is request


@given(known_requests)
def test_a_list_of_nothing_leaves_no_attribute_and_no_text(case: Case) -> None:
    signal, request = case
    uses = redactor({"on": list(PLACES), "action": "drop"})

    done = or_raise(uses.redact(request, signal)).request

    names = {each.DESCRIPTOR.name for each in messages_in(parse(done, signal))}
    assert not names & {"KeyValue", "AnyValue"}


@given(st.sampled_from(otlp.SIGNALS), st.text(max_size=20))
def test_a_hash_is_the_same_under_one_key_and_another_under_another(
    signal: Signal, text: str
) -> None:
    request = with_attributes(signal, ("k", text))

    def done(key: str) -> bytes:
        document = {
            "hash_key": {"variable": "K"},
            "rule": [{"on": "attributes", "action": "hash"}],
        }
        uses = Redactor(or_raise(read_rules(document, Path(), {"K": key})))
        return or_raise(uses.redact(request, signal)).request

    assert done("a" * 16) == done("a" * 16) != done("b" * 16)


@given(known_requests)
def test_every_text_but_those_of_the_schema_is_reached(case: Case) -> None:
    """No text of a request escapes the rules, but those that the documentation lists."""
    signal, request = case
    message = parse(request, signal)
    for holder, name in list(texts_in(message)):
        if (holder.DESCRIPTOR.name, name) not in BEYOND_RULES and not (
            holder.DESCRIPTOR.name == "AnyValue" and holder.WhichOneof("value") != name
        ):
            setattr(holder, name, "S3CRET")
    uses = redactor({"on": list(PLACES), "action": "mask", "pattern": "S3CRET"})

    done = or_raise(uses.redact(message.SerializeToString(), signal)).request

    assert b"S3CRET" not in done


def test_a_text_that_a_later_one_hides_is_not_kept_either() -> None:
    name = length_delimited(5, b"S3CRET") + length_delimited(5, b"name")
    request = length_delimited(1, length_delimited(2, length_delimited(2, name)))

    done = or_raise(redactor().redact(request, "traces"))

    assert b"S3CRET" not in done.request
    assert parse(done.request, "traces") == parse(request, "traces")
    assert done.counts == {("repeated_fields", "drop"): 1}


@given(mutations(otlp_requests()))
def test_nothing_is_left_that_no_rule_could_see(case: Case) -> None:
    signal, body = case
    assume(is_sound(body, signal))

    once = or_raise(redact_by_parsing(body, signal, RulePolicy(RuleSet()))).request

    assert not hides_values(once, request_table(signal))
    assert not holds_unknown_fields(once, request_table(signal))
    assert parse(once, signal) == without_unknown_fields(parse(body, signal))
    assert or_raise(redactor().redact(once, signal)).request is once


def test_every_list_of_attributes_is_a_place_of_its_own() -> None:
    found = {
        place_of(table, field)
        for signal in otlp.SIGNALS
        for table in reachable_from(request_table(signal))
        for field in table.by_number.values()
    }

    assert found == {*ATTRIBUTE_PLACES, *TEXT_PLACES, "body", None} - {"other"}
