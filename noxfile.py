"""One command a check: `nox -l` lists them."""

import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests", "lint", "types"]


def install(session: nox.Session, *groups: str, extras: str = "") -> None:
    session.install("-e", f".{extras}", *nox.project.dependency_groups(PYPROJECT, *groups))


UNITS = ["tests/unit", "tests/laws/test_otlp_laws.py", "src/otlp_capture/otlp"]
PYPROJECT = nox.project.load_toml("pyproject.toml")


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test on real servers, with branch coverage, then units without the extension."""
    install(session, "tests", extras="[demo]")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    if not session.posargs:
        without = {"OTLP_CAPTURE_KERNEL": "python"}
        session.run("coverage", "run", "-m", "pytest", *UNITS, env=without)
    session.run("coverage", "combine", "--quiet")
    least = [] if session.posargs else ["--fail-under=97"]
    session.run("coverage", "report", *least)


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
