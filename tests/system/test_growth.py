"""A small growth: what `make bench-growth` measures, and that it goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from benchmarks.chart import CHART, draw, read_records, records_there
from benchmarks.commands import Cost
from benchmarks.growth import COMMANDS, RESULTS, Run, Scale, milestones_up_to, sample_points
from benchmarks.growth_record import Growth, Milestone, Sample, ratio

SVG = "{http://www.w3.org/2000/svg}"
SMALL = Scale(rounds=1, samples=1, openings=2, deaths=1, frames=20, served=1)


@pytest.mark.timeout(400)
def test_a_small_vault_is_grown_measured_and_grown_on(tmp_path: Path) -> None:
    """Each milestone has every measure, once; the second run adds its own and repeats nothing."""
    folder = tmp_path / "growth"
    Run(folder, "ordered", SMALL).grow(1_100)
    (first,) = _record(folder).milestones
    Run(folder, "ordered", SMALL).grow(9_000)
    found = _record(folder)

    assert found.milestones[0] == first
    assert [each.target for each in found.milestones] == [1_100, 9_000]
    for milestone in found.milestones:
        assert milestone.items >= milestone.target
        assert milestone.size_bytes > 300 * milestone.items
        assert len(milestone.opening_ms) == len(milestone.opening_beside_ms) == 2
        assert len(milestone.after_death_ms) == len(milestone.samples) == len(milestone.served) == 1
        assert milestone.frames_at_death[0] >= 20
        assert milestone.costs.keys() == COMMANDS.keys()
        assert all(cost.cpu_seconds > 0 and cost.peak_mb > 10 for cost in milestone.costs.values())
    assert found.samples
    assert found.samples[0].items >= 1_000


def _record(folder: Path) -> Growth:
    return msgspec.json.decode((folder / RESULTS).read_bytes(), type=Growth)


def test_a_vault_of_other_ids_is_not_gone_on_with(tmp_path: Path) -> None:
    """Its figures would be of neither kind."""
    Run(tmp_path / "growth", "random", SMALL)

    with pytest.raises(ValueError, match="holds a vault of random ids"):
        Run(tmp_path / "growth", "ordered", SMALL)


def test_where_is_measured() -> None:
    """Powers of ten, and the end; samples between."""
    assert milestones_up_to(500) == [500]
    assert milestones_up_to(1_000_000) == [10_000, 100_000, 1_000_000]
    assert milestones_up_to(2_500_000)[-2:] == [1_000_000, 2_500_000]
    assert sample_points(1_300) == [1_000, 1_259]


def test_the_chart_is_of_the_record() -> None:
    """Nobody draws by hand what `make chart` draws; a new record needs a new chart."""
    assert CHART.read_text(encoding="utf-8") == draw(read_records(records_there()))


def test_a_chart_shows_what_was_measured() -> None:
    """A line a measure, a mark a milestone, its facts in words for who does not see it."""
    cost = Cost(seconds=2.0, cpu_seconds=1.0, peak_mb=50.0)
    sample = Sample(items=10_000, added=64, seconds=2.0, cpu_seconds=1.0, beside=1.9, cpu_beside=0.9)
    milestones = [
        Milestone(
            items, items, 800 * items, [12.0, 18.0, 90.0], [11.0], [70.0], [900], {"export": cost}, [sample]
        )
        for items in (10_000, 1_000_000)
    ]
    drawn = draw(
        [Growth("ordered", "2026-11-21T00:00:00", "2 cores", 0.2, samples=[], milestones=milestones)]
    )

    xml = ET.fromstring(drawn)  # noqa: S314  # our own
    texts = [element.text for element in xml.iter(f"{SVG}text")]
    assert {
        "ordered ids, clock",
        "ordered ids, processor",
        "median",
        "slowest",
        "new pod, median",
        "export",
    } <= {*texts}
    assert "audit" not in texts
    assert "At 1,000,000 items a vault stores 0.95 times as many items" in drawn
    assert len([*xml.iter(f"{SVG}path")]) > 20


def test_the_ratio_is_of_rates() -> None:
    """Twice the time of a new vault is half of its rate, however many samples there are."""
    sample = Sample(items=1, added=64, seconds=2.0, cpu_seconds=1.0, beside=1.0, cpu_beside=1.0)

    assert ratio([sample]) == ratio([sample, sample]) == 0.5
