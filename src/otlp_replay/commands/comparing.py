"""The command `otlp-capture diff`."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from otlp_capture.cli.options import DEFAULT_STORE, JsonOption, StoreOption, chosen_signals
from otlp_capture.cli.terminal import DONE, FINDING, print_json, progress, run_with
from otlp_capture.clock import SystemClock
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.storage import S3Storage, S3StorageTag
from otlp_replay.commands.amounts import moment_of, shard_of, share_of, size_bytes
from otlp_replay.commands.asked import OPTIONS, named_as_option
from otlp_replay.commands.differing import print_comparison
from otlp_replay.commands.exits import EXIT_CODES
from otlp_replay.commands.mutations import (
    DropOption,
    RenameOption,
    SetOption,
    TextOption,
    mutations_of,
)
from otlp_replay.commands.options import (
    CopiesOption,
    FromOption,
    LimitOption,
    LoopOption,
    RemapOption,
    SeedOption,
    ServiceOption,
    ShardOption,
    ShareOption,
    SignalOption,
    UntilOption,
)
from otlp_replay.config import ReplayConfig, check_config
from otlp_replay.declaring import resent_by, selected_by
from otlp_replay.verify import DEFAULT_MAX_EXAMPLES, DEFAULT_MEMORY_BYTES, ShiftMode, verify
from otlp_replay.verify.progress import Watch

_NAMES: Final[Mapping[str, str]] = {
    **OPTIONS,
    "session_id": "A",
    "merged_session_ids": "--with-original",
    "session_a": "A",
    "session_b": "B",
    "shift_ns": "--shift-ns",
    "max_examples": "--examples",
    "memory_bytes": "--memory",
    "mutations.value": "--set-attribute",
}
_HOW: Final = "How it is compared"


def diff(
    session_a: Annotated[str, typer.Argument(metavar="A", help="The original.")],
    session_b: Annotated[str, typer.Argument(metavar="B", help="What arrived.")],
    *,
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="ID",
            help="A further session of what arrived, such as another shard's; may be repeated.",
        ),
    ] = None,
    with_original: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="A further session of the original, merged with it; may be repeated.",
        ),
    ] = None,
    shift: Annotated[
        ShiftMode,
        typer.Option(
            help="How timestamps were moved. auto: by a constant, to be found. none: not at all. "
            "constant: like auto, or by --shift-ns. per-request: each request by its own."
        ),
    ] = "auto",
    shift_ns: Annotated[
        list[int] | None,
        typer.Option(
            metavar="NS",
            help="With --shift constant: the constant, in nanoseconds; of loops one, or one each.",
        ),
    ] = None,
    from_: FromOption = None,
    until: UntilOption = None,
    service: ServiceOption = None,
    signal: SignalOption = None,
    share: ShareOption = "1",
    limit: LimitOption = None,
    shard: ShardOption = None,
    loop: LoopOption = 1,
    copies: CopiesOption = 1,
    remap_ids: RemapOption = None,
    seed: SeedOption = 0,
    drop_attribute: DropOption = None,
    rename_attribute: RenameOption = None,
    set_attribute: SetOption = None,
    set_text: TextOption = None,
    examples: Annotated[
        int,
        typer.Option(
            metavar="N",
            rich_help_panel=_HOW,
            help="Describe so many missing, extra, duplicated and changed records each.",
        ),
    ] = DEFAULT_MAX_EXAMPLES,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            rich_help_panel=_HOW,
            help="Hold records in no more than this: 64MiB; without it 256MiB. More goes into a "
            "temporary file.",
        ),
    ] = None,
    scratch: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            rich_help_panel=_HOW,
            file_okay=False,
            help="Where that file is; without it, where temporary files go.",
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Compare two sessions, record by record.

    Batching, grouping and the order of attributes do not matter. What a replay was asked for is
    declared by its own options, and carried out on A before it is compared.

    Exits with 0 when they are equal; 1 when not, or when one is damaged; 2 where it cannot be
    told; 3 when a store, or room for the temporary file, is out of reach.

    Example: [bold]otlp-capture diff checkout checkout-replayed --shift constant[/]

    Example: [bold]otlp-capture diff checkout part-1 --with part-2 --drop-attribute span:user.id[/]
    """
    chosen = chosen_signals(signal)
    # What was sent is checked, and declared, as the replay did it.
    sent = ReplayConfig(
        session_id=session_a,
        merged_session_ids=tuple(with_original or ()),
        replay_traces="traces" in chosen,
        replay_metrics="metrics" in chosen,
        replay_logs="logs" in chosen,
        filter_services=tuple(service or ()),
        replay_from=moment_of(from_, "--from"),
        replay_until=moment_of(until, "--until"),
        trace_share=share_of(share, "--share"),
        limit=limit,
        shard=shard_of(shard, "--shard"),
        loops=loop,
        copies=copies,
        remap_ids=remap_ids,
        seed=seed,
    )
    mutations = mutations_of(
        drop_attribute or (), rename_attribute or (), set_attribute or (), set_text or ()
    )
    memory_bytes = size_bytes(memory, "--memory")

    async def work(storage: S3Storage) -> Outcome[int, Any]:
        checked = check_config(sent)
        if isinstance(checked, Failure):
            return Failure(named_as_option(checked.failure(), _NAMES))
        with _watched(sent.session_ids, as_json=as_json) as watch:
            compared = await verify(
                storage,
                sent.session_ids,
                (session_b, *(with_ or ())),
                shift=shift,
                shift_ns=shift_ns or None,
                signals=sent.signals,
                remapped=resent_by(sent),
                mutations=mutations,
                selected=selected_by(sent),
                limit=limit,
                max_examples=examples,
                memory_bytes=DEFAULT_MEMORY_BYTES if memory_bytes is None else memory_bytes,
                temporary_folder=scratch,
                watch=watch,
            )
        if isinstance(compared, Failure):
            return Failure(named_as_option(compared.failure(), _NAMES))
        comparison = compared.unwrap()
        if as_json:
            print_json(comparison.to_json())
        else:
            print_comparison(comparison)
        return Success(DONE if comparison.equal else FINDING)

    run_with(store, SystemClock, S3StorageTag, work, as_json=as_json, codes=EXIT_CODES)


@contextmanager
def _watched(session_ids: Sequence[str], *, as_json: bool) -> Generator[Watch]:
    with progress(as_json=as_json) as bar:
        task = bar.add_task(f"Comparing {', '.join(session_ids)}", total=0, unit="requests")

        def show(done: int, expected: int) -> None:
            bar.update(task, completed=done, total=expected)

        yield show
