"""A benchmark's figures are kept by name and size, and drawn against size."""

import json
from pathlib import Path

from benchmarks.figures import Figure, draw, figure, keep


def measured(name: str, rows: int, ours: float) -> Figure:
    return figure(name, ours, 2.0, "s", 3, rows)


def test_a_figure_replaces_the_one_of_its_name_and_size(tmp_path: Path) -> None:
    file = tmp_path / "latest.json"
    keep([measured("a day", 10, 3.0), measured("a day", 100, 4.0)], file)
    keep([measured("a day", 10, 5.0), measured("a drop", 10, 1.0)], file)
    assert {(each["name"], each["rows"], each["ours"]) for each in json.loads(file.read_text())} == {
        ("a day", 10, 5.0), ("a day", 100, 4.0), ("a drop", 10, 1.0)
    }  # fmt: skip


def test_what_was_measured_with_several_sizes_is_drawn_against_size(tmp_path: Path) -> None:
    file = tmp_path / "latest.json"
    keep([measured("a day, by the clock", 10**6, 3.0), measured("a drop", 10, 1.0)], file)
    assert draw(file) == []
    keep([measured("a day, by the clock", 10**7, 4.0)], file)
    assert draw(file) == [tmp_path / "a-day-by-the-clock.svg"]
    assert "a day, by the clock, s by rows of history" in (tmp_path / "a-day-by-the-clock.svg").read_text()
