"""The command `diff` as a user meets it: each option makes equal what it declares, and no more."""

import contextlib
import json
import logging
import os
import pty
import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import anyio
import pytest

from otlp_capture import otlp
from otlp_capture.cli.app import build
from otlp_capture.layer import open_runtime
from otlp_capture.otlp import TRACE_PLACES, IdMapping, Signal, trace_place
from otlp_capture.result import or_raise
from otlp_capture.storage import S3StorageTag, local_storage
from tests.clocks import HANGS_AFTER_S
from tests.command_line import COMMAND, Run, Shell
from tests.replays import damage_last_segment
from tests.sessions import START, arriving, write_session

MANY = 3_000
Request = tuple[Signal, bytes]


def attributes(**values: Any) -> list[Any]:
    kinds = {str: "stringValue", int: "intValue"}
    return [
        {"key": key.replace("_", "."), "value": {kinds[type(value)]: value}}
        for key, value in values.items()
    ]


def encoded(signal: Signal, document: Any) -> Request:
    return signal, or_raise(otlp.decode(json.dumps(document).encode(), signal, "json"))


def trace_id(number: int) -> str:
    return f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}"


def span(number: int, later_ns: int = 0, name: str = "work", **values: Any) -> Request:
    """Return a request with a span of the service web or db, in turn; *values* are the span's."""
    record = {
        "traceId": trace_id(number),
        "spanId": f"{number:016x}",
        "name": name,
        "startTimeUnixNano": str(START + number + later_ns),
        "attributes": attributes(**(values or {"user_id": "u"})),
    }
    resource = {"attributes": attributes(service_name=("web", "db")[number % 2])}
    scope = {"spans": [record]}
    return encoded("traces", {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]})


def logs(*bodies: str) -> Request:
    """Return a request with logs that have neither a trace nor a service."""
    records = [{"timeUnixNano": str(START), "body": {"stringValue": body}} for body in bodies]
    return encoded("logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})


SPANS = [span(number) for number in range(1, 7)]
LOG = logs("said")
ALL = [*SPANS, LOG]


def renamed(loop: int, copy: int) -> list[Request]:
    """Return all requests with the ids of a loop and copy of seed 5."""
    mapping = IdMapping(5, loop, copy)
    return [(signal, or_raise(otlp.remap_ids(request, signal, mapping))) for signal, request in ALL]


def in_first_half() -> list[Request]:
    kept = [
        request
        for number, request in enumerate(SPANS, start=1)
        if trace_place(bytes.fromhex(trace_id(number))) < TRACE_PLACES // 2
    ]
    assert 0 < len(kept) < len(SPANS)
    return [*kept, LOG]


SESSIONS: dict[str, list[Request]] = {
    "all": ALL,
    "front": ALL[:3],
    "back": ALL[3:],
    "web": SPANS[1::2],
    "log": [LOG],
    "half": in_first_half(),
    "twice": [*ALL, *ALL],
    "loops": [*renamed(0, 0), *renamed(1, 0)],
    "copies": [*renamed(0, 0), *renamed(0, 1)],
    "seeded": renamed(0, 0),
    "spans": SPANS,
    "spans-twice": [*SPANS, *(span(number, 70) for number in range(1, 7))],
    "dropped": [span(number, user_name="u") for number in range(1, 7)],
    "emptied": [span(number, other="o") for number in range(1, 7)],
    "numbered": [span(number, user_id="u", tries=3) for number in range(1, 7)],
    "texted": [span(number, user_id="u", tries="3") for number in range(1, 7)],
    "hidden": [span(number, name="hidden") for number in range(1, 7)],
    "damaged": SPANS,
    "many": [logs(*(str(number) for number in range(MANY)))],
    "others": [logs(*(str(-number) for number in range(1, MANY)))],
}

CASES = {
    "all front --with back": "all front",
    "front all --with-original back": "front all",
    "all back --from 3s": "all back",
    "all front --until 3s": "all front",
    "all front --limit 3": "all front --limit 4",
    "all web --service w*": "all web --service d*",
    "all log --signal logs": "all log",
    "all half --share 50%": "all half --share 0.9",
    "all twice --loop 2 --no-remap-ids": "all twice --loop 2",
    "all twice --copies 2 --no-remap-ids": "all twice --copies 3 --no-remap-ids",
    "all loops --loop 2 --seed 5": "all loops --loop 2 --seed 6",
    "all copies --copies 2 --seed 5": "all copies --loop 2 --seed 5",
    "all seeded --remap-ids --seed 5": "all seeded --seed 5",
    "spans dropped --rename-attribute span:user.id=user.name": "spans dropped",
    "spans emptied --drop-attribute span:user.id --set-attribute span:other=o": (
        "spans emptied --set-attribute span:other=o"
    ),
    "spans numbered --set-attribute span:tries=3": 'spans numbered --set-attribute span:tries="3"',
    'spans texted --set-attribute span:tries="3"': "spans texted --set-attribute span:tries=3",
    "spans hidden --set-text span_name=hidden": "spans hidden --set-text status_message=hidden",
    "spans spans-twice --loop 2 --no-remap-ids --shift constant --shift-ns 0 --shift-ns 70": (
        "spans spans-twice --loop 2 --no-remap-ids --shift constant --shift-ns 0 --shift-ns 71"
    ),
}
"""Command lines that find equal, and like ones that find a difference."""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Run commands where all sessions are."""
    shell = Shell(tmp_path_factory.mktemp("differences"))

    async def write() -> None:
        async with open_runtime(local_storage(f"{shell.folder}/otlp-data"), S3StorageTag) as opened:
            (storage,) = or_raise(opened)
            for session_id, requests in SESSIONS.items():
                await write_session(storage, session_id, arriving(requests))
            await write_session(storage, "active", arriving(SPANS), status="active")
            await damage_last_segment(storage, "damaged")

    anyio.run(write)
    return shell


Differing = Callable[[Iterable[str]], list[Run]]


@pytest.fixture
def differing(
    shell: Shell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Differing:
    """Run diff with --json for each of some command lines, in this process: there are many."""
    monkeypatch.setattr(logging, "disable", lambda _level: None)
    command, store = build(), ["--store", f"file:{shell.folder}/otlp-data", "--json"]

    def run_each(cases: Iterable[str]) -> list[Run]:
        runs = list[Run]()
        for case in cases:
            code = command(["diff", *case.split(), *store], standalone_mode=False)
            runs.append(Run(code, *capsys.readouterr()))
        return runs

    return run_each


@pytest.mark.parametrize("case", CASES)
def test_what_is_declared_is_equal_and_anything_else_differs(
    differing: Differing, case: str
) -> None:
    declared, other = differing([case, CASES[case]])

    assert (declared.code, declared.stderr, declared.result["equal"]) == (0, "", True)
    assert (other.code, other.stderr, other.result["equal"]) == (1, "", False)


def test_so_many_examples_are_shown_and_the_rest_is_counted(
    shell: Shell, differing: Differing
) -> None:
    machines, none = differing(["all log --examples 2", "all log --examples 0"])
    people = shell.run("diff", "all", "log", "--examples", "2")

    assert [each["kind"] for each in machines.result["differences"]] == ["missing"] * 2
    assert (none.result["missing"], none.result["differences"]) == (6, [])
    assert people.stdout.endswith("… and 4 more differences (--examples, --json)\n")


def test_people_see_what_differs_by_service_and_by_field(shell: Shell) -> None:
    run = shell.run("diff", "spans", "hidden", "--examples", "1")

    lines = [re.sub(r" +", " ", line).strip() for line in run.stdout.splitlines()]
    assert lines == [
        "different: 6 records against 6",
        "timestamps moved by 0 ns (auto)",
        "signal service missing extra duplicated changed",
        "traces db 0 0 0 3",
        "traces web 0 0 0 3",
        "",
        "field that changed signal service changed",
        "spans.name traces db 3",
        "spans.name traces web 3",
        "",
        lines[-2],
        "… and 5 more differences (--examples, --json)",
    ]
    assert lines[-2].startswith("changed: span work ")
    assert lines[-2].endswith('; spans.name is "work" in A and "hidden" in B')


def test_of_loops_each_shift_is_told(shell: Shell) -> None:
    run = shell.run("diff", "spans", "spans-twice", "--loop", "2", "--no-remap-ids")

    assert (run.code, run.stdout.splitlines()) == (
        0,
        ["equal: 12 records against 12", "timestamps moved by 0, 70 ns, loop by loop (auto)"],
    )


def test_a_terminal_shows_how_far_it_is(shell: Shell) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "diff", "many", "others", "--shift", "none"],
        cwd=shell.folder,
        env=shell.environment(TERM="xterm", COLUMNS="120"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    # A terminal that nobody writes to any more is told as an error.
    with contextlib.suppress(OSError):
        while more := os.read(leader, 4096):
            shown += more
    os.close(leader)
    process.communicate(timeout=HANGS_AFTER_S)

    assert process.returncode == 1
    assert b"Comparing many" in shown
    assert re.search(rb"\d+ of \d+ requests", shown)


def test_a_session_that_is_still_recorded_is_named(shell: Shell) -> None:
    people = shell.run("diff", "spans", "active")

    assert (people.code, people.stdout.partition(":")[0]) == (0, "equal")
    assert people.stderr == "active is still recorded; it was compared as it stands.\n"


def test_what_does_not_fit_into_memory_goes_where_it_is_told(
    differing: Differing, tmp_path: Path
) -> None:
    limited = "many others --shift none --memory 64KiB --scratch"
    there, nowhere = differing([f"{limited} {tmp_path}", f"{limited} {tmp_path}/gone"])
    unpaired, whole = differing(
        [f"many others --shift per-request {each}" for each in ("--memory 64KiB", "")]
    )

    assert (there.code, there.result["missing"]) == (1, MANY)
    assert (nowhere.code, nowhere.error["error"]) == (3, "NoScratchSpace")
    assert (unpaired.code, unpaired.error["error"]) == (2, "ComparisonTooLarge")
    assert whole.code == 1


def test_a_damaged_session_is_a_finding_and_a_missing_one_bad_input(differing: Differing) -> None:
    runs = differing(["damaged spans", "spans damaged", "spans gone"])

    assert [(run.code, run.stdout, run.error["error"]) for run in runs] == [
        (1, "", "DecompressionFailure"),
        (1, "", "DecompressionFailure"),
        (2, "", "SessionNotFound"),
    ]


def test_what_cannot_be_is_told_by_the_names_of_options(differing: Differing) -> None:
    cases = {
        "--with log": "B",
        "--with-original all": "--with-original",
        "--shift none --shift-ns 1": "--shift-ns",
        "--loop 3 --shift constant --shift-ns 1 --shift-ns 2": "--shift-ns",
        "--loop 0": "--loop",
        "--copies 0": "--copies",
        "--share 2": "--share",
        "--limit -1": "--limit",
        "--from 5m --until 1m": "--until",
        "--examples -1": "--examples",
        "--memory 1kB": "--memory",
        f"--set-attribute span:n={1 << 63}": "--set-attribute",
    }

    runs = differing([f"all log {case}" for case in cases])

    assert [(run.code, run.stdout, run.error["field"]) for run in runs] == [
        (2, "", field) for field in cases.values()
    ]


def test_a_change_that_says_nothing_is_refused_with_an_example(shell: Shell) -> None:
    cases = {
        "--drop-attribute user.id": "span:user.id",
        "--drop-attribute span:": "span:user.id",
        "--rename-attribute span:a": "span:http.method",
        "--rename-attribute span:a=": "span:http.method",
        "--set-attribute env=prod": "resource:env=test",
        "--set-text name=x": "span_name",
    }

    for run, example in zip(
        shell.run_all(*(f"diff all log {case}" for case in cases)), cases.values(), strict=True
    ):
        assert (run.code, run.stdout) == (2, "")
        assert example in run.stderr


def test_the_captures_of_all_shards_are_the_session(shell: Shell, differing: Differing) -> None:
    parts = [f"part-{number}" for number in (1, 2, 3)]
    replays = shell.run_all(
        *(
            f"replay all --shard {number}/3 --verify-into {part} --speed max --json"
            for number, part in enumerate(parts, start=1)
        )
    )

    assert [(run.code, run.result["comparison"]["equal"]) for run in replays] == [(0, True)] * 3
    sizes = [run.result["comparison"]["recordsB"] for run in replays]
    assert sum(sizes) == len(ALL)

    together, alone, one = differing(
        [
            "all part-1 --with part-2 --with part-3 --shift none",
            "all part-2 --with part-3 --shift none",
            "all part-2 --shard 2/3 --shift none",
        ]
    )
    assert (together.code, together.result["recordsB"]) == (0, len(ALL))
    assert (alone.code, alone.result["missing"]) == (1, sizes[0])
    assert (one.code, one.result["recordsA"]) == (0, sizes[1])
