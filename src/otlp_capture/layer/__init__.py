"""Dependency injection: a service is named by a tag, built by a layer, released in reverse.

    >>> import anyio
    >>> from otlp_capture.result import Outcome, Success
    >>> Greeting = Tag[str]("example.Greeting")
    >>> Letter = Tag[list[str]]("example.Letter")
    >>> async def write_letter(scope: Scope, greeting: str) -> Outcome[list[str], OSError]:
    ...     scope.defer(lambda: print("the letter is put away"))
    ...     return Success([greeting, "Ada"])
    >>> layer = wire(scoped(Letter, write_letter, Greeting), succeed(Greeting, "Dear"))
    >>> async def main() -> None:
    ...     async with open_runtime(layer, Letter) as opened:
    ...         match opened:
    ...             case Success((letter,)):
    ...                 print(letter)
    >>> anyio.run(main)
    ['Dear', 'Ada']
    the letter is put away

`plan` says what would be acquired, or everything that is miswired, before anything is acquired.
What the asked tags do not reach is neither checked nor acquired.
"""

from otlp_capture.layer.composition import Layer as Layer
from otlp_capture.layer.composition import Tag as Tag
from otlp_capture.layer.composition import merge as merge
from otlp_capture.layer.composition import provide as provide
from otlp_capture.layer.composition import scoped as scoped
from otlp_capture.layer.composition import succeed as succeed
from otlp_capture.layer.composition import wire as wire
from otlp_capture.layer.planning import Acquisition as Acquisition
from otlp_capture.layer.planning import Plan as Plan
from otlp_capture.layer.planning import plan as plan
from otlp_capture.layer.problems import Cycle as Cycle
from otlp_capture.layer.problems import Duplicate as Duplicate
from otlp_capture.layer.problems import Missing as Missing
from otlp_capture.layer.problems import Miswired as Miswired
from otlp_capture.layer.problems import Problem as Problem
from otlp_capture.layer.runtime import open_runtime as open_runtime
from otlp_capture.layer.scope import DEFERRED_DEADLINE_S as DEFERRED_DEADLINE_S
from otlp_capture.layer.scope import Scope as Scope
from otlp_capture.layer.stubs import stub as stub

__all__ = [
    "DEFERRED_DEADLINE_S",
    "Acquisition",
    "Cycle",
    "Duplicate",
    "Layer",
    "Missing",
    "Miswired",
    "Plan",
    "Problem",
    "Scope",
    "Tag",
    "merge",
    "open_runtime",
    "plan",
    "provide",
    "scoped",
    "stub",
    "succeed",
    "wire",
]
