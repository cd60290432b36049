"""The report of a replay: a page that needs nothing but itself, and harms nobody."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from otlp_capture.result import Failure, Success, or_raise
from otlp_replay.fidelity import (
    Gate,
    ReportUnavailable,
    ReportUnwritable,
    check_report,
    misses,
    render_report,
    write_report,
)
from otlp_replay.fidelity import report as report_module
from otlp_replay.fidelity.report import _NEEDED
from tests.observed import certified, settled

HOSTILE = "\"'><script>alert(1)</script><img src=//evil.example/x>&amp;{{ 7*7 }}"
TOLD = [settled(number, number * 1_000_000, number % 7 * 1000) for number in range(300)]
SVG = "{http://www.w3.org/2000/svg}"
XHTML_ENTITIES = '<!DOCTYPE html [<!ENTITY nbsp "&#160;">]>'


def tree_of(page: str) -> ET.Element:
    """Parse a page as XML, which is stricter than any browser."""
    return ET.fromstring(page.replace("<!DOCTYPE html>", XHTML_ENTITIES, 1))


@pytest.fixture(scope="module")
def page() -> str:
    told = [*TOLD, settled(300, 0, None, outcome="not_sent", reason=HOSTILE, status=HOSTILE)]
    held = certified(
        told, session_ids=(HOSTILE, "other"), target=HOSTILE, replay_id=HOSTILE, error=HOSTILE
    )
    return or_raise(render_report(held, misses(Gate(max_drift_s=0.0, max_not_sent=0), held)))


def test_the_page_is_well_formed_and_has_its_pictures(page: str) -> None:
    tree = tree_of(page)

    pictures = list(tree.iter(f"{SVG}svg"))
    assert len(pictures) == 3
    for picture in pictures:
        assert picture.get("role") == "img"
        labelled = (picture.get("aria-labelledby") or "").split()
        told = {
            each.get("id"): each.text
            for each in picture
            if each.tag in {f"{SVG}title", f"{SVG}desc"}
        }
        assert list(told) == labelled
        assert all(told.values())
    ids = [each.get("id") for each in tree.iter() if each.get("id")]
    assert len(set(ids)) == len(ids)
    named = re.findall(r"(?:href=\"|url\()#([^\")]*)", page)
    assert named
    assert set(named) <= set(ids)


def test_the_page_loads_nothing_and_runs_nothing(page: str) -> None:
    tree = tree_of(page)

    for element in tree.iter():
        name = element.tag.rsplit("}")[-1]
        assert name not in {"script", "link", "img", "image", "iframe", "object", "embed", "base"}
        for attribute, value in element.attrib.items():
            plain = attribute.rsplit("}")[-1].lower()
            assert not plain.startswith("on")
            assert plain not in {"src", "srcset", "action", "data"}
            assert plain != "href" or value.startswith("#")
            assert all(found == "#" for found in re.findall(r"url\(['\"]?(.)", value))
    styles = "".join(style.text or "" for style in tree.iter("style"))
    styles += "".join(style.text or "" for style in tree.iter(f"{SVG}style"))
    assert "@import" not in styles
    assert "url(" not in styles


def test_hostile_names_are_text(page: str) -> None:
    tree = tree_of(page)

    assert (tree.findtext(".//h1") or "") == f"Replay of {HOSTILE}, other"
    assert "<script" not in page
    assert "<img" not in page
    texts = [each.text for each in tree.iter("li")]
    assert texts[0] == HOSTILE
    assert HOSTILE in [each.text for each in tree.iter("th")]


def test_the_page_takes_its_colours_from_light_and_dark(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert "color-scheme: light dark" in page
    for stand_in in ("#010101", "#020202", "#030303", "#040404", "#050505"):
        assert stand_in not in page
    for colour in ("--ink", "--faint", "--one", "--two", "--three"):
        assert f"var({colour})" in page
        assert page.count(f"{colour}: #") == 2


def test_the_same_replay_makes_the_same_page() -> None:
    held = certified(TOLD)

    assert render_report(held) == render_report(held)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_replay_of_next_to_nothing_has_a_page(count: int) -> None:
    tree = tree_of(or_raise(render_report(certified(TOLD[:count]))))

    assert len(list(tree.iter(f"{SVG}svg"))) == (3 if count else 0)


def test_requests_that_were_early_have_a_page() -> None:
    told = [settled(number, number * 1000, -500) for number in range(3)]

    assert len(list(tree_of(or_raise(render_report(certified(told)))).iter(f"{SVG}svg"))) == 3


def test_a_report_is_written_where_it_can_be(tmp_path: Path) -> None:
    path = tmp_path / "report.html"

    assert write_report(path, certified(TOLD)) == Success(path)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert check_report(tmp_path) == Failure(ReportUnwritable(str(tmp_path), "it is a folder"))
    lost = tmp_path / "no" / "report.html"
    reason = f"there is no folder {tmp_path / 'no'}"
    assert write_report(lost, certified(TOLD)) == Failure(ReportUnwritable(str(lost), reason))


def test_what_is_missing_is_told_with_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in _NEEDED:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(report_module, "find_spec", lambda _: None)

    refused = check_report(tmp_path / "report.html").failure()

    assert refused == ReportUnavailable(("jinja2", "matplotlib"))
    assert "pip install 'otlp-capture[report]'" in refused.message
    assert isinstance(render_report(certified(TOLD)).failure(), ReportUnavailable)


def test_nothing_heavy_is_loaded_before_a_report_is_made() -> None:
    heavy = ("jinja2", "matplotlib", "numpy", "aiohttp", "grpc", "typer")
    program = (
        "import sys, otlp_replay.fidelity, otlp_replay.deliveries; "
        f"print([m for m in {heavy} if m in sys.modules])"
    )

    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert run.stdout == "[]\n"
