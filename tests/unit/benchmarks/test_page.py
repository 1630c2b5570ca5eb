"""The page and its plots, from made-up figures."""

from __future__ import annotations

from xml.etree import ElementTree

from benchmarks import page, plot
from benchmarks.pairs import Ratio
from benchmarks.report import Report


def report() -> Report:
    return Report(
        1_000_000,
        environment={"cores": 2, "rows": 1_000_000, "longest_gap_ms": {"without": 3.5}},
        ratios={"insert": Ratio(1.4, 1.3, 1.45, 40), "read_1m": Ratio(150, 140, 160, 9)},
        series={
            "read: from totals": [(10_000, 2.0), (1_000_000, 2.1)],
            "read: computed": [(10_000, 4.0), (1_000_000, 300.0)],
            "writers: without totals": [(1, 900.0), (16, 2500.0)],
        },
    )


def test_the_page_says_what_one_gains_and_pays_and_on_what_it_was_measured():
    text = page.page(report())
    assert "over 1,000,000 expenses is read **150 times faster**" in text
    assert "Saving a new expense takes **1.4 times**" in text
    assert "| 1.4 | 1.3 | 1.45 | 40 | ≤ 1.5 | ok |" in text
    assert "| cores | 2 |" in text
    assert "| longest_gap_ms | without: 3.5 |" in text


def test_the_page_says_nothing_of_what_was_not_measured():
    assert "None" not in page.page(report())
    assert "trigger" not in page.page(report())


def test_the_page_and_its_plots_are_written_side_by_side(tmp_path):
    names = {path.name for path in page.write(report(), tmp_path)}
    assert names == {"performance.md", "performance-reads.svg", "performance-writers.svg"}
    for name in names - {"performance.md"}:
        assert f"({name})" in (tmp_path / "performance.md").read_text()


def test_a_run_without_points_has_no_plots(tmp_path):
    bare = Report(1_000_000, ratios={"insert": Ratio(1.4, 1.3, 1.45, 40)})
    assert [path.name for path in page.write(bare, tmp_path)] == ["performance.md"]


def test_a_chart_is_xml_with_a_line_and_a_legend_entry_for_each_name():
    lines = {"a < b": [(1, 10.0), (16, 250.0)], "c": [(1, 5.0), (16, 7.0)]}
    root = ElementTree.fromstring(plot.line_chart("A & B", "writers", "commits", lines, decades=False))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a < b", "c", "A & B", "writers", "commits"} <= set(texts)
    thick = [element for element in root.iter() if element.get("stroke-width") == "2"]
    assert len(thick) == 2


def test_a_logarithmic_scale_puts_ten_halfway_between_one_and_a_hundred():
    assert plot.Scale(1, 100, 0, 50, logarithmic=True).at(10) == 25
    assert plot.Scale(0, 100, 0, 50, logarithmic=False).at(10) == 5
