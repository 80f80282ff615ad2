"""Draws what ``benchmarks.growth`` measured: ``make chart``.

Reads records (``growth.json``) and writes one SVG with four panels over the
number of items in the vault. The same records give the same bytes. A panel is
a title, its marks and its lines; a line has a colour, a mark and a label of its
own at its end, so that colour alone never tells two apart.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.growth_record import Growth, Milestone, cpu_ratio, ratio

ROOT = Path(__file__).parents[1]
RECORDS = (ROOT / "docs" / "growth.json", ROOT / "docs" / "growth-random.json")
CHART = ROOT / "docs" / "growth.svg"

WIDTH, HEIGHT = 1000, 730
PANEL_WIDTH, PANEL_HEIGHT = 300, 230
LEFTS, TOPS = (65, 560), (115, 450)
COLOURS = ("#1f5f99", "#b3541e", "#2e7d46", "#7a3d8f", "#8a6d00")
"""Dark enough on white, and apart for those who see red and green alike."""
_LABEL_GAP = 15.0
_MOST_MARKS = 5
_LITTLE_MORE = 0.05
"""Of a decade: ten million items and a few belong to seven decades."""

_HEAD = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" \
aria-labelledby="title desc"
     font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="13" fill="#1d2733">
"""
_STYLE = """  <style>
    .frame { fill: none; stroke: #c5ced8; }
    .grid { stroke: #e6eaef; }
    .goal { stroke: #1d2733; stroke-dasharray: 5 4; }
    .line { fill: none; stroke-width: 1.8; }
    .head { font-weight: 700; font-size: 15px; }
    .soft { fill: #526375; font-size: 12px; }
  </style>
"""


class Point(NamedTuple):
    """Items in the vault, and what was measured there."""

    items: int
    value: float


class Line(NamedTuple):
    """One line of a panel.

    Attributes:
        label: Written at its end.
        points: From few items to many.
    """

    label: str
    points: Sequence[Point]


class Panel(NamedTuple):
    """One panel.

    Attributes:
        title: Above it.
        unit: Under the title: what is drawn, in which unit.
        lines: At most as many as there are colours.
        marks: Values at the left side, the lowest and the highest are its edges.
        is_log: Whether the scale is logarithmic.
        goal: Where a dashed line is drawn.
    """

    title: str
    unit: str
    lines: Sequence[Line]
    marks: Sequence[float]
    is_log: bool = False
    goal: float | None = None


def panels_of(records: Sequence[Growth]) -> list[Panel]:
    """What is drawn of these records; the first one's milestones are drawn whole."""
    main = records[0]
    storing = [
        Line(f"{record.ids} ids, {name}", _ratios(record, of)) for record in records for name, of in _RATIOS
    ]
    opening = [
        Line("median", [Point(each.items, statistics.median(each.opening_ms)) for each in main.milestones]),
        Line("slowest", [Point(each.items, max(each.opening_ms)) for each in main.milestones]),
        Line(
            "new pod, median",
            [
                Point(each.items, statistics.median(each.opening_beside_ms))
                for each in main.milestones
                if each.opening_beside_ms
            ],
        ),
    ]
    rates = [Line(name, _costs(main, name, _rate)) for name in _NAMES]
    memory = [Line(name, _costs(main, name, _memory)) for name in _NAMES]
    return [
        Panel(
            "Storing",
            "items a second, of a new vault's: by the clock, by processor time",
            storing,
            _marks_to(storing, (0.5, 1.0, 10.0)),
            goal=0.9,
        ),
        Panel(
            "Closed pod to first answer",
            "milliseconds",
            opening,
            _marks_to(opening, (20, 50, 100, 200, 500, 1_000, 10_000)),
            goal=50,
        ),
        Panel("Commands", "items a second of processor", rates, (1e4, 1e5, 1e6, 1e7), is_log=True),
        Panel("Memory of commands", "MB, at most", memory, (0, 100, 200, 300, 400), goal=300),
    ]


_RATIOS: tuple[tuple[str, Callable[..., float]], ...] = (("clock", ratio), ("processor", cpu_ratio))
_NAMES = ("snapshot", "export", "audit, closed", "audit --items", "check")


def _ratios(record: Growth, of: Callable[..., float]) -> list[Point]:
    single = [Point(each.items, of([each])) for each in record.samples]
    several = [Point(each.items, of(each.samples)) for each in record.milestones]
    return sorted([*single, *several])


def _costs(record: Growth, name: str, of: Callable[[Milestone, str], float]) -> list[Point]:
    return [Point(each.items, of(each, name)) for each in record.milestones if name in each.costs]


def _rate(milestone: Milestone, name: str) -> float:
    return milestone.items / milestone.costs[name].cpu_seconds


def _memory(milestone: Milestone, name: str) -> float:
    return milestone.costs[name].peak_mb


def _marks_to(lines: Sequence[Line], steps: Sequence[float]) -> list[float]:
    """Marks from 0 to beyond every value, by the first of ``steps`` with which they are few."""
    most = max(point.value for line in lines for point in line.points)
    counts = [math.ceil(most / step) for step in steps]
    step, count = next(pair for pair in zip(steps, counts, strict=True) if pair[1] <= _MOST_MARKS)
    return [step * number for number in range(count + 1)]


class _Scales(NamedTuple):
    """Where items and values lie in a panel."""

    left: float
    top: float
    first: float
    last: float
    low: float
    high: float
    is_log: bool

    def x(self, items: int) -> float:
        part = (math.log10(items) - self.first) / (self.last - self.first)
        return self.left + PANEL_WIDTH * part

    def y(self, value: float) -> float:
        low, high, at = (math.log10(each) if self.is_log else each for each in (self.low, self.high, value))
        part = min(max((at - low) / (high - low), 0.0), 1.0)
        return self.top + PANEL_HEIGHT * (1 - part)


def draw(records: Sequence[Growth]) -> str:
    """Draw records.

    Args:
        records: At least one with a milestone.
    """
    panels = panels_of(records)
    items = [point.items for panel in panels for line in panel.lines for point in line.points]
    decades = (math.floor(math.log10(min(items))), math.ceil(math.log10(max(items)) - _LITTLE_MORE))
    main = records[0]
    parts = [
        _HEAD,
        '  <title id="title">A vault that grows</title>\n',
        f'  <desc id="desc">{_told(main)}</desc>\n',
        _STYLE,
    ]
    parts.append(f'  <rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n')
    parts.append(_text(LEFTS[0], 30, "A vault that grows", "head"))
    parts.append(
        _text(LEFTS[0], 50, f"{main.began[:10]}, {main.machine}; {main.batch_items} items a commit", "soft")
    )
    places = [(left, top) for top in TOPS for left in LEFTS]
    for panel, (left, top) in zip(panels, places, strict=True):
        scales = _Scales(left, top, *decades, panel.marks[0], panel.marks[-1], panel.is_log)
        parts += _panel(panel, scales)
    return "".join([*parts, "</svg>\n"])


def _told(record: Growth) -> str:
    """The chart in words, for who does not see it."""
    last = record.milestones[-1]
    return escape(
        f"At {last.items:,} items a vault stores {ratio(last.samples):.2f} times as many items a second "
        f"as a new one; its first answer after opening takes {statistics.median(last.opening_ms):.0f} ms; "
        f"no command needs more than {max(cost.peak_mb for cost in last.costs.values()):.0f} MB."
    )


def _panel(panel: Panel, scales: _Scales) -> Iterator[str]:
    left, top = scales.left, scales.top
    yield f"\n  <!-- {escape(panel.title)} -->\n"
    yield _text(left, top - 22, panel.title, "head")
    yield _text(left, top - 6, panel.unit, "soft")
    for mark in panel.marks:
        y = scales.y(mark)
        yield f'  <path class="grid" d="M{left:.1f} {y:.1f}H{left + PANEL_WIDTH:.1f}"/>\n'
        yield _text(left - 8, y + 4, _short(mark), "soft", anchor="end")
    for power in range(int(scales.first), int(scales.last) + 1):
        x = scales.x(10**power)
        yield f'  <path class="grid" d="M{x:.1f} {top:.1f}V{top + PANEL_HEIGHT:.1f}"/>\n'
        yield _text(x, top + PANEL_HEIGHT + 18, _short(10**power), "soft", anchor="middle")
    yield f'  <rect class="frame" x="{left}" y="{top}" width="{PANEL_WIDTH}" height="{PANEL_HEIGHT}"/>\n'
    if panel.goal is not None:
        y = scales.y(panel.goal)
        yield f'  <path class="goal" d="M{left:.1f} {y:.1f}H{left + PANEL_WIDTH:.1f}"/>\n'
        yield _text(left + PANEL_WIDTH - 6, y + 15, f"goal: {_short(panel.goal)}", "soft", anchor="end")
    yield from _lines(panel, scales)


def _lines(panel: Panel, scales: _Scales) -> Iterator[str]:
    drawn = [(line, colour) for line, colour in zip(panel.lines, COLOURS, strict=False) if line.points]
    ends = _spread([scales.y(line.points[-1].value) for line, _ in drawn], scales.top + PANEL_HEIGHT)
    for number, ((line, colour), end) in enumerate(zip(drawn, ends, strict=True)):
        places = [(scales.x(point.items), scales.y(point.value)) for point in line.points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        yield f'  <path class="line" stroke="{colour}" d="M{path}"/>\n'
        for x, y in places:
            yield _mark(number, x, y, colour)
        right = scales.left + PANEL_WIDTH
        yield _mark(number, right + 12, end, colour)
        yield _text(right + 22, end + 4, line.label, fill=colour)


def _mark(number: int, x: float, y: float, colour: str) -> str:
    """A circle, a square, a diamond, a triangle, a star."""
    shapes = (
        f"M{x - 3:.1f} {y:.1f}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0z",
        f"M{x - 3:.1f} {y - 3:.1f}h6v6h-6z",
        f"M{x:.1f} {y - 4:.1f}l4 4l-4 4l-4 -4z",
        f"M{x:.1f} {y - 4:.1f}l4 7h-8z",
        f"M{x - 4:.1f} {y - 4:.1f}l4 3l4 -3l-3 4l3 4l-4 -3l-4 3l3 -4z",
    )
    return f'  <path fill="{colour}" d="{shapes[number]}"/>\n'


def _spread(ends: Sequence[float], lowest: float) -> list[float]:
    """Move labels apart, so that none stands on another, and none below ``lowest``."""
    order = sorted(range(len(ends)), key=lambda number: ends[number])
    placed = list(ends)
    for before, number in itertools.pairwise(order):
        placed[number] = max(placed[number], placed[before] + _LABEL_GAP)
    too_low = max(max(placed) - lowest, 0.0)
    return [place - too_low for place in placed]


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "", fill: str = "") -> str:
    more = "".join(
        f' {name}="{value}"'
        for name, value in (("class", kind), ("text-anchor", anchor), ("fill", fill))
        if value
    )
    return f'  <text x="{x:.1f}" y="{y:.1f}"{more}>{escape(text)}</text>\n'


def _short(number: float) -> str:
    """1000000 as 1 M."""
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"


def records_there() -> list[Path]:
    """The records that are kept in the repository."""
    return [path for path in RECORDS if path.exists()]


def read_records(paths: Sequence[Path]) -> list[Growth]:
    """Read what ``benchmarks.growth`` wrote."""
    return [msgspec.json.decode(path.read_bytes(), type=Growth) for path in paths]


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "records", nargs="*", type=Path, default=records_there(), help="growth.json; the first is drawn whole"
    )
    parser.add_argument("--out", type=Path, default=CHART, help="the SVG")
    given = parser.parse_args()
    given.out.write_text(draw(read_records(given.records)), encoding="utf-8")


if __name__ == "__main__":
    main()
