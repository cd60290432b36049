"""Rules of redaction for tests, and requests full of secrets."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from otlp_capture.otlp import ATTRIBUTE_PLACES, PLACES, Signal
from otlp_capture.redaction import Redactor, redactor_of
from otlp_capture.redaction.policy import RulePolicy
from otlp_capture.redaction.toml import read_rules
from otlp_capture.result import or_raise
from tests.strategies import LEVELS, REQUEST_TYPES

KEY = "a key of some length"
ENVIRONMENT = {"HASH_KEY": KEY}


def redactor(*rules: Mapping[str, Any], **settings: Any) -> Redactor:
    """Make a redactor of rules as TOML has them; the key for hashes is `KEY`."""
    document = {"hash_key": {"variable": "HASH_KEY"}, **settings, "rule": list(rules)}
    return or_raise(redactor_of(or_raise(read_rules(document, Path(), ENVIRONMENT))))


def mixed_policies() -> list[RulePolicy]:
    """Return policies under which much of any real request is dropped, hashed and masked."""
    often = [
        {"on": "attributes", "key": ["*name*", "*.id"], "action": "hash"},
        {"on": "attributes", "key": ["k8s.*", "http.*"], "value": "^[a-m]", "action": "drop"},
        {"on": ["event", "log", "point"], "key": ["*e"], "action": "drop"},
        {"on": ["body", "span_name", "event_name"], "pattern": "[0-9]+", "action": "mask"},
        {"on": "attributes", "pattern": ["preset:ipv4", "[A-Z]"], "action": "mask"},
    ]
    default = {"resource": "drop", "point": "drop", "status_message": "drop"}
    return [
        RulePolicy(redactor(*often).rules),
        RulePolicy(redactor(often[0], default=default, unknown_fields="keep").rules),
        RulePolicy(redactor({"on": "attributes", "key": "no such key", "action": "drop"}).rules),
    ]


def with_attributes(signal: Signal, *attributes: tuple[str, Any]) -> bytes:
    """Build a request of one record that has attributes; dicts and lists are nested values."""
    message = REQUEST_TYPES[signal]()
    resources, scopes, items = LEVELS[signal]
    record = getattr(getattr(getattr(message, resources).add(), scopes).add(), items).add()
    target = record.gauge.data_points.add() if signal == "metrics" else record
    for key, value in attributes:
        set_value(target.attributes.add(key=key).value, value)
    return bytes(message.SerializeToString())


def set_value(target: Any, value: Any) -> None:
    """Put a Python value into an AnyValue."""
    if isinstance(value, dict):
        target.kvlist_value.SetInParent()
        for key, inner in value.items():
            set_value(target.kvlist_value.values.add(key=key).value, inner)
    elif isinstance(value, list):
        target.array_value.SetInParent()
        for inner in value:
            set_value(target.array_value.values.add(), inner)
    elif value is not None:
        names = {str: "string", bytes: "bytes", bool: "bool", int: "int", float: "double"}
        setattr(target, f"{names[type(value)]}_value", value)


def value_of(any_value: Any) -> Any:
    """Read an AnyValue as a Python value."""
    kind = any_value.WhichOneof("value")
    if kind == "kvlist_value":
        return {each.key: value_of(each.value) for each in any_value.kvlist_value.values}
    if kind == "array_value":
        return [value_of(each) for each in any_value.array_value.values]
    return None if kind is None else getattr(any_value, kind)


def attributes_in(request: bytes, signal: Signal) -> dict[str, Any]:
    """Read the attributes of a request that `with_attributes` has built."""
    message = REQUEST_TYPES[signal].FromString(request)
    resources, scopes, items = LEVELS[signal]
    record = getattr(getattr(getattr(message, resources)[0], scopes)[0], items)[0]
    target = record.gauge.data_points[0] if signal == "metrics" else record
    return {each.key: value_of(each.value) for each in target.attributes}


BEYOND_RULES = {
    ("ResourceSpans", "schema_url"),
    ("ResourceMetrics", "schema_url"),
    ("ResourceLogs", "schema_url"),
    ("ScopeSpans", "schema_url"),
    ("ScopeMetrics", "schema_url"),
    ("ScopeLogs", "schema_url"),
    ("InstrumentationScope", "name"),
    ("InstrumentationScope", "version"),
    ("EntityRef", "schema_url"),
    ("EntityRef", "type"),
    ("EntityRef", "id_keys"),
    ("EntityRef", "description_keys"),
    ("Metric", "name"),
    ("Metric", "description"),
    ("Metric", "unit"),
    ("LogRecord", "severity_text"),
    ("KeyValue", "key"),
}
"""The texts that no rule can name."""


def full_request(signal: Signal, secret: str) -> bytes:
    """Build a request of every message there is, and *secret* in all texts that rules can name."""
    message = REQUEST_TYPES[signal]()
    _fill(message, secret)
    return bytes(message.SerializeToString())


def _fill(message: Any, secret: str) -> None:
    nested = {"list": [secret, {"deep": {"deeper": [secret.encode()]}}], "text": secret}
    for field in message.DESCRIPTOR.fields:
        target = getattr(message, field.name)
        if field.message_type is None:
            _fill_scalar(message, field, secret)
        elif field.message_type.name == "AnyValue":
            set_value(target, nested)
        elif field.message_type.name == "KeyValue":
            for key, value in {"text": secret, "raw": secret.encode(), "nested": nested}.items():
                set_value(target.add(key=key).value, value)
        elif field.message_type.name == "Metric":
            for data in field.message_type.oneofs_by_name["data"].fields:
                _fill(getattr(target.add(), data.name), secret)
            for metric in target:
                set_value(metric.metadata.add(key="text").value, nested)
        else:
            _fill(target.add() if field.is_repeated else target, secret)


def _fill_scalar(message: Any, field: Any, secret: str) -> None:
    if field.type != field.TYPE_STRING:
        return
    is_beyond = (message.DESCRIPTOR.name, field.name) in BEYOND_RULES
    text = "beyond" if is_beyond else secret
    if field.is_repeated:
        getattr(message, field.name).append(text)
    else:
        setattr(message, field.name, text)


def texts_in(message: Any) -> Iterator[tuple[Any, str]]:
    """Yield each text field of each message inside *message*, set or not, with its message."""
    for descriptor in message.DESCRIPTOR.fields:
        if descriptor.type == descriptor.TYPE_STRING and not descriptor.is_repeated:
            yield message, descriptor.name
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for child in value if descriptor.is_repeated else [value]:
                yield from texts_in(child)


_keys = st.sampled_from(["", "a", "service.name", "service.*", "*", "k", "k.*", "a.a", "?", "deep"])


@st.composite
def rules(draw: st.DrawFn, actions: tuple[str, ...] = ("allow", "drop", "hash", "mask")) -> Any:
    """One rule, as TOML has it."""
    rule: dict[str, Any] = {"action": draw(st.sampled_from(actions))}
    if draw(st.booleans()):
        rule["key"] = draw(st.lists(_keys, min_size=1, max_size=2))
    places = (*ATTRIBUTE_PLACES, "body") if "key" in rule else PLACES
    rule["on"] = draw(
        st.one_of(
            st.just(list(places)),
            st.just(["attributes"]),
            st.lists(st.sampled_from(places), min_size=1, max_size=3),
        )
    )
    if draw(st.booleans()):
        rule["value"] = draw(st.sampled_from(["a", "^$", "[0-9a-z]", "é|ключ"]))
    if rule["action"] == "mask":
        rule["pattern"] = draw(st.sampled_from(["a", "[a-z]+", "\x00|🙂", "."]))
        rule["replacement"] = draw(st.sampled_from(["", "\n"]))
    return rule


def rule_sets(*actions: str) -> st.SearchStrategy[list[Any]]:
    return st.lists(rules(actions) if actions else rules(), max_size=4)


defaults = st.dictionaries(
    st.sampled_from([*PLACES, "attributes"]), st.sampled_from(["allow", "drop"]), max_size=2
)
any_rules = st.builds(
    lambda made, default, kept, most: redactor(
        *made, default=default, unknown_fields=kept, max_value_bytes=most
    ),
    rule_sets(),
    defaults,
    st.sampled_from(["drop", "keep"]),
    st.sampled_from([3, 65536]),
)
