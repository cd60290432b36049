"""Type checkers see what the layers promise, and refuse what would not fit together."""

from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api", reason="these tests ask mypy: install the group `types`")

HERE = Path(__file__).parent

REFUSED = {
    "an acquire function whose parameter is not the service of its tag": (
        "scoped(StoreTag, open_disk, TextTag)",
        'Argument 2 to "scoped"',
    ),
    "an acquire function that lacks a tag for a parameter": (
        "scoped(StoreTag, open_disk)",
        'Argument 2 to "scoped"',
    ),
    "dependencies in the wrong order": (
        "scoped(TextTag, write, ClockTag, StoreTag)",
        'Argument 2 to "scoped"',
    ),
    "an acquire function that builds another service": (
        "scoped(ClockTag, open_disk, ClockTag)",
        'Argument 2 to "scoped"',
    ),
    "a service that is not the one of the tag": (
        "succeed(ClockTag, Disk())",
        'of "succeed"',
    ),
    "an error that is not declared": (
        "both = wire(clock, disk)\nquiet: Layer[NoTime] = both",
        "Incompatible types in assignment",
    ),
    "a tag where a layer belongs": (
        "wire(clock, ClockTag)",
        'No overload variant of "wire"',
    ),
    "a tag of a wider service": (
        "wide: Tag[object] = ClockTag",
        "Incompatible types in assignment",
    ),
    "a service taken out as another": (
        """async def taken() -> None:
    async with open_runtime(wall, ClockTag) as opened:
        if isinstance(opened, Success):
            opened.unwrap()[0].get('key')""",
        '"Clock" has no attribute "get"',
    ),
    "a context manager that is none": (
        "async def entered(scope: Scope) -> None:\n    await scope.enter(3)",
        'Argument 1 to "enter" of "Scope"',
    ),
}


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[str]]:
    """What mypy says about the accepted file, followed by every refused snippet, by line."""
    accepted = (HERE / "layer_types.py").read_text()
    path = tmp_path_factory.mktemp("typing") / "snippets.py"
    path.write_text("\n".join([accepted, *(snippet for snippet, _ in REFUSED.values())]))
    config = HERE.parents[1] / "pyproject.toml"
    cache = tmp_path_factory.mktemp("cache")
    out, err, _ = api.run(
        [f"--config-file={config}", f"--cache-dir={cache}", "--hide-error-context", str(path)]
    )
    assert not err
    found: dict[int, list[str]] = {}
    for line in out.splitlines():
        if line.startswith(str(path)) and ": error: " in line:
            found.setdefault(int(line.split(":")[1]), []).append(line)
    return found


def test_what_is_right_is_accepted(complaints: dict[int, list[str]]) -> None:
    size = len((HERE / "layer_types.py").read_text().splitlines()) + 1
    assert [line for number, line in complaints.items() if number <= size] == []


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused(what: str, complaints: dict[int, list[str]]) -> None:
    snippet, complaint = REFUSED[what]
    before = list(REFUSED)[: list(REFUSED).index(what)]
    first = len((HERE / "layer_types.py").read_text().splitlines()) + 2
    first += sum(len(REFUSED[name][0].splitlines()) for name in before)
    lines = range(first, first + len(snippet.splitlines()))
    said = [line for number in lines for line in complaints.get(number, [])]
    assert said
    assert complaint in said[0]
