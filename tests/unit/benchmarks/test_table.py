"""Rows know their verdicts; the table and the file say the same."""

import json

import pytest

from benchmarks.table import Row, document, render, span
from benchmarks.targets import MIB, TARGETS, Target

HEAD = Row("a", "HEAD, 1 core", 0.65, of="hello", target="cpu.HEAD", rate=9876.4, p50=0.0009,
           p99=0.0021, cpu=85e-6)  # fmt: skip


@pytest.mark.parametrize(
    ("target", "figure", "verdict"),
    [
        ("cpu.HEAD", 0.7, "ok"),
        ("cpu.HEAD", 0.701, "short"),
        ("large.get", 0.9, "ok"),
        ("large.get", 0.89, "short"),
        ("memory", 100 * MIB, "ok"),
        ("list.seen", 0.0, "short"),
        ("", 3.0, ""),
        ("cpu.PUT.full", 3.0, ""),
        ("cpu.HEAD", None, ""),
    ],
)
def test_the_verdict_is_about_the_figure_and_its_target(target, figure, verdict):
    assert Row("a", "x", figure, target=target).verdict == verdict


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (Target(0.7), "<= 0.7"),
        (Target(0.9, at_least=True), ">= 0.9"),
        (TARGETS["memory"], "<= 100 MiB"),
        (TARGETS["list.first"], "<= 150 ms"),
    ],
)
def test_a_target_is_printed_with_its_side_and_unit(target, text):
    assert str(target) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (85e-6, "85 us"), (0.0123, "12.3 ms"), (0.150, "150 ms"), (1.6, "1.60 s")],
)
def test_a_time_is_printed_in_the_unit_that_suits_it(seconds, text):
    assert span(seconds) == text


def test_a_line_has_every_figure():
    cells = HEAD.cells()
    assert cells == ("a", "HEAD, 1 core", "9,876/s", "900 us", "2.1 ms", "85 us", "0.65 x hello",
                     "<= 0.7", "ok")  # fmt: skip


def test_columns_stand_below_each_other_and_sections_are_ruled_off():
    rows = [HEAD, Row("c", "worker, started", 41.5 * MIB, "MiB", target="memory")]
    heading, rule, first, second_rule, second = render(rows).splitlines()
    assert rule == second_rule == "-" * len(rule)
    assert first.index("<= 0.7") == second.index("<= 100 MiB") == heading.index("to reach")
    assert "41.5 MiB" in second


def test_the_file_holds_figures_unrounded_with_targets_and_verdicts():
    written = json.loads(document([HEAD], {"kernel": "6.1"}))
    assert written["kernel"] == "6.1"
    (row,) = written["rows"]
    assert row["cpu"] == 85e-6
    assert row["verdict"] == "ok"
    assert row["target"] == {"bound": 0.7, "unit": "", "at_least": False}
