"""One command a check: `nox -l` lists them."""

import nox

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests", "lint", "types"]


def install(session: nox.Session, *groups: str, extras: str = "") -> None:
    session.install("-e", f".{extras}", *nox.project.dependency_groups(PYPROJECT, *groups))


PYPROJECT = nox.project.load_toml("pyproject.toml")


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test on real servers, with branch coverage."""
    install(session, "tests", extras="[demo]")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
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
    """Replay a real capture at its own pace, and tell how well the time was kept."""
    install(session, "tests", extras="[demo]")
    session.run("pytest", "-m", "slow", *session.posargs)
