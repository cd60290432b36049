"""The command `otlp-capture demo`."""

import shlex
from typing import Any
from urllib.parse import unquote, urlsplit

from rich.table import Table

from otlp_capture.cli.options import DEFAULT_STORE, JsonOption, StoreOption
from otlp_capture.cli.terminal import (
    COUNTED,
    DONE,
    FINDING,
    count_columns,
    print_json,
    print_table,
    put,
    results,
    run_with,
    tell,
)
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import metadata_document
from otlp_replay.commands.differing import print_comparison
from otlp_replay.commands.exits import EXIT_CODES
from otlp_replay.demo import Demo, DemoLive, Demonstration, DemoTag


def demo(
    *,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Record a small instrumented shop, replay it, and compare what arrived with what was recorded.

    It takes some seconds, and leaves two sessions in the store.

    Example: [bold]otlp-capture demo[/]
    """

    async def work(demonstration: Demo) -> Outcome[int, Any]:
        shown = await demonstration.run(lambda step: None if as_json else tell(f"{step} ..."))
        if isinstance(shown, Failure):
            return shown
        result = shown.unwrap()
        if as_json:
            print_json(
                {
                    "recorded": metadata_document(result.recorded),
                    "replayed": metadata_document(result.replayed),
                    "replay": result.status.to_json(),
                    "comparison": result.comparison.to_json(),
                }
            )
        else:
            _print_demonstration(result, store)
        return Success(DONE if result.comparison.equal else FINDING)

    run_with(store, DemoLive, DemoTag, work, as_json=as_json, codes=EXIT_CODES)


def _print_demonstration(result: Demonstration, store: str) -> None:
    original, copy = result.recorded.session_id, result.replayed.session_id
    table = Table("", "session", box=None, pad_edge=False)
    for name in COUNTED:
        table.add_column(name, justify="right")
    table.add_row("recorded", original, *count_columns(result.recorded))
    table.add_row("replayed", copy, *count_columns(result.replayed))
    put("")
    print_table(table)
    put("")
    print_comparison(result.comparison)
    parts = urlsplit(store)
    if parts.scheme == "memory":
        return
    folder = unquote(parts.path)
    put("")
    put(f"Both sessions are in {folder if parts.scheme == 'file' else store}. Look at them:")
    option = "" if store == DEFAULT_STORE else f" --store {shlex.quote(store)}"
    results.out(f"  otlp-capture sessions show {original}{option}")
    results.out(f"  otlp-capture diff {original} {copy}{option}")
    if parts.scheme == "file":
        inside = shlex.quote(f"{folder}/{result.recorded.s3_prefix}/raw")
        results.out(f"  zcat {inside}/*/*/traces* | strings")
