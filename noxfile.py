"""One command a check: `nox -l` lists them."""

import os
import re
import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests", "lint", "types"]


def install(session: nox.Session, *groups: str, extras: str = "") -> None:
    session.install("-e", f".{extras}", *nox.project.dependency_groups(PYPROJECT, *groups))


# What reads or writes the wire by itself, and so is another thing without the extension.
OF_THE_WIRE = [
    "src/otlp_capture/otlp",
    "tests/laws/test_otlp_laws.py",
    "tests/unit/capture",
    "tests/unit/redaction",
    *map(str, sorted(Path("tests/unit").glob("test_otlp_*.py"))),
    "tests/unit/test_hostile_requests.py",
    "tests/unit/test_interchange.py",
    "tests/unit/test_kernel_choice.py",
    "tests/unit/test_replay_plan.py",
    "tests/unit/test_selection.py",
    "tests/unit/test_verify.py",
]
PYPROJECT = nox.project.load_toml("pyproject.toml")


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test on real servers, and those of the wire without the extension, too."""
    install(session, "tests", extras="[demo]")
    session.run("coverage", "erase")
    # Commands are started a thousand times: they are not to be compiled each time.
    session.env["PYTHONDONTWRITEBYTECODE"] = ""
    # One more than there are cores: a test that waits for a server leaves its core to another.
    workers = str((os.cpu_count() or 1) + 1)
    at_once = [] if session.posargs else ["-n", workers, "--dist", "worksteal"]
    session.run("coverage", "run", "-m", "pytest", *at_once, *session.posargs)
    if not session.posargs:
        without = {"OTLP_CAPTURE_KERNEL": "python"}
        session.run("coverage", "run", "-m", "pytest", *at_once, *OF_THE_WIRE, env=without)
    session.run("coverage", "combine", "--quiet")
    least = [] if session.posargs else ["--fail-under=97"]
    session.run("coverage", "report", *least)


@nox.session
def laws(session: nox.Session) -> None:
    """Try the properties on examples that no run has seen; `-- -k spool` takes some of them."""
    install(session, "tests", extras="[demo]")
    searching = ("-n", "auto", "--dist", "worksteal", "--hypothesis-profile", "searching")
    session.run("pytest", *searching, "tests/laws", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, and that the floors hold."""
    install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Check every type, twice."""
    install(session, "types", "tests", extras="[demo]")
    session.run("mypy")
    session.run("pyright")


@nox.session
def demo(session: nox.Session) -> None:
    """Record a small real application, replay it, and compare."""
    install(session, extras="[demo]")
    session.run("otlp-capture", "demo", *session.posargs)


@nox.session
def pace(session: nox.Session) -> None:
    """Replay sessions at their own pace on the real clock, and tell how well it was kept."""
    install(session, "tests", extras="[demo]")
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session
def interop(session: nox.Session) -> None:
    """Speak with real OpenTelemetry Collectors, built here of Go modules, and with Phoenix."""
    install(session, "tests", extras="[demo]")
    backends = {"OTLP_CAPTURE_PHOENIX": str(installed_phoenix(session))}
    if shutil.which("go") is None:
        session.warn("There is no Go toolchain, which builds the collectors: they are not tried.")
    else:
        for name, collector in COLLECTORS.items():
            backends[name] = str(built_collector(session, collector))
    session.run("pytest", "-m", "interop", "tests/interop", *session.posargs, env=backends)


def installed_phoenix(session: nox.Session) -> Path:
    """Return a Python that has Arize Phoenix, apart from ours: it brings some 800 MB."""
    folder = Path(session.create_tmp()).resolve() / "phoenix"
    python = folder / "bin" / "python"
    if not (folder / "bin" / "phoenix").is_file():
        session.run("python", "-m", "venv", "--clear", str(folder))
        session.run(str(python), "-m", "pip", "install", "-q", PHOENIX, external=True)
    return python


PHOENIX = "arize-phoenix==20.26.1"


def built_collector(session: nox.Session, collector: str) -> Path:
    """Build the collector of a manifest in tests/interop, unless it lies there already."""
    folder = Path(session.create_tmp()).resolve() / collector
    manifest = Path("tests/interop", collector).with_suffix(".yaml").read_text()
    program, built_of = folder / "built" / "otelcol", folder / "manifest.yaml"
    if program.is_file() and built_of.is_file() and built_of.read_text() == manifest:
        return program
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    built_of.write_text(manifest)
    version = re.search(r"otlpreceiver (v\S+)", manifest)
    assert version is not None, "a collector without a receiver takes nothing"
    builder = f"go.opentelemetry.io/collector/cmd/builder@{version[1]}"
    # `go mod tidy` wants what the tests of modules import, too; -e goes on without what it cannot
    # have of that. The build itself takes no excuses.
    flags = f"{os.environ.get('GOFLAGS', '')} -mod=mod -e".strip()
    with session.chdir(folder):
        session.run(
            *("nice", "-n", "19", "go", "run", builder, "--config=manifest.yaml"),
            external=True,
            env={"GOFLAGS": flags},
        )
    return program


COLLECTORS = {
    "OTLP_CAPTURE_COLLECTOR": "collector",
    "OTLP_CAPTURE_S3_COLLECTOR": "collector_to_s3",
}


@nox.session
def crash(session: nox.Session) -> None:
    """Kill the recorder, or fail it, at each system call; `-- --crash-step 5` takes every fifth."""
    if shutil.which("strace") is None:
        session.error("strace is missing: `apt-get install strace`, or your system's package of it")
    install(session, "tests", extras="[demo]")
    session.run(
        "pytest", "tests/integration/test_system_calls.py", "tests/integration/test_crashes.py"
    )
    session.run(
        "pytest", "-m", "crash", "tests/integration/test_injected_faults.py", *session.posargs
    )


# The runtime is not linked: atheris brings one that holds libFuzzer too, and it is loaded first.
SANITIZED = {
    "CFLAGS": "-g -fno-omit-frame-pointer -fsanitize=address,undefined "
    "-fno-sanitize-recover=undefined",
    "LDFLAGS": "-nodefaultlibs -lgcc -lc",
}


@nox.session
def fuzz(session: nox.Session) -> None:
    """Give mutated bytes to all that reads them, under sanitizers; `-- --seconds 300`."""
    groups = nox.project.dependency_groups(PYPROJECT, "fuzz")
    session.install(*PYPROJECT["project"]["dependencies"], *groups)
    # Built apart, so that no sanitized extension comes into the source tree.
    kept = Path(session.create_tmp()).resolve()
    tree = kept / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree("src", tree / "src", ignore=shutil.ignore_patterns("*.so", "*.c", "*.egg-info"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(name, tree)
    session.install("--no-deps", "--force-reinstall", str(tree), env=SANITIZED)
    session.run("python", "-m", "fuzz", "--folder", str(kept), *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure speed and memory beside references of the same run: `-- --help` says what else."""
    install(session)
    session.run("python", "-m", "benchmarks", *session.posargs)
