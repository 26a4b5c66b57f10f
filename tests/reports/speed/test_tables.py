"""Tables say what was measured; README.md and docs/speed*.md are what docs/speed*.json give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from speed_cases import TABLE, comparison, machine, row

from kernelproof.reports.speed.__main__ import main, merged
from kernelproof.reports.speed.model import Table, read_table
from kernelproof.reports.speed.plot import ratios_image
from kernelproof.reports.speed.tables import BEGIN, END, head, markdown, readme_block, remarks, summary, text_table, with_block
from kernelproof.reports.speed.workloads import WORKLOADS
from kernelproof.symbolic.errors import InputError

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"


def test_the_readme_has_what_the_measurements_give() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert with_block(readme, read_table(DOCS / "speed.json")) == readme, "run the command at the end of docs/speed.md"


@pytest.mark.parametrize("name", sorted(path.stem for path in DOCS.glob("speed*.json")))
def test_the_docs_are_what_the_measurements_give(name: str) -> None:
    table = read_table(DOCS / f"{name}.json")
    assert markdown(table, f"{name}.png") == (DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert (DOCS / f"{name}.png").is_file()
    assert table.complete and {row.name for row in table.rows} <= {row.name for row in WORKLOADS}


def test_a_matrix_library_that_leaves_the_processor_unused_is_told_what_to_set() -> None:
    told = "OPENBLAS_CORETYPE=SkylakeX, set before Python starts"
    for blas, avx512, expected in (
        ("openblas 0.3.31 (Haswell, 2 threads)", True, True),
        ("openblas 0.3.31 (Haswell, 2 threads)", False, False),
        ("openblas 0.3.31 (SkylakeX, 2 threads)", True, False),
        ("mkl 2024 (Intel(R) Advanced Vector Extensions 2, 2 threads)", True, False),
    ):
        lines = head(replace(TABLE, machine=machine(blas=[blas], avx512=avx512)))
        assert (told in " ".join(lines)) is expected
    set_so = replace(TABLE, machine=machine(settings={"OPENBLAS_CORETYPE": "SkylakeX"}))
    assert "Set: OPENBLAS_CORETYPE=SkylakeX." in head(set_so)
    assert "\nOPENBLAS_CORETYPE=SkylakeX kernelproof bench --json docs/speed.json\n" in markdown(set_so, "speed.png")


def test_the_terminal_has_ratios_targets_and_reasons() -> None:
    text = text_table(TABLE)
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert "0.50 ≤ 0.6 met" in lines["first"] and "1.50 ≤ 1 missed" in lines["first"] and "1.20" in lines["first"]
    assert "500.0 ms" in lines["first"] and "0123456789ab" in lines["first"]
    assert "not built" in lines["third"]
    assert text.endswith("3 of 4 rows measured; targets: 2 met, 2 missed")


def test_remarks_name_every_miss_every_aim_and_everything_that_is_not_there() -> None:
    assert remarks(TABLE) == [
        "first: 1.50 of PyTorch misses 1, floor 1.25: the cause of it",
        "third: not built: generating softmax: not built yet",
        "fourth: largest error 2 ≤ 1 missed (textbook: 3)",
        "fourth: peak 1 ≤ 1 met",
        "PyTorch: not installed: torch – second",
    ]
    assert summary(replace(TABLE, complete=False)).endswith("; interrupted")


def test_a_reason_that_concerns_all_rows_stands_once_and_alone() -> None:
    second = TABLE.rows[1]
    assert remarks(Table(machine(), (second, replace(second, name="again")))) == ["PyTorch: not installed: torch"]


def test_the_head_has_machine_threads_and_versions() -> None:
    assert head(TABLE) == [
        "Measured on 2026-01-02: A processor, 2 cores, Linux x86_64, caches L2 2048K.",
        "Threads: openblas 0.3 (X, 2 threads); the kernels share blocks among 2 threads, with BLAS on one in each.",
        "Versions: kernelproof 0.1.0, numpy 2.0.0; not installed: torch.",
    ]


def test_the_block_of_the_readme_has_the_rows_with_aims_alone() -> None:
    block = readme_block(TABLE)
    assert block.startswith(BEGIN) and block.endswith(END)
    rows = [line for line in block.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 3  # a head, a rule; first, second, fourth
    assert "0.50 ≤ 0.6 met" in rows[2] and "–" in rows[3] and "largest error 2 ≤ 1 missed" in rows[4]
    assert "bare" not in rows[0]  # nobody had a target there


def test_the_block_replaces_what_stands_between_the_markers() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    found = with_block(text, TABLE)
    assert found == f"before\n{readme_block(TABLE)}\nafter\n"
    assert with_block(found, TABLE) == found
    with pytest.raises(InputError, match="no lines"):
        with_block("no markers", TABLE)


def test_pieces_are_put_together_later_ones_win() -> None:
    names = [WORKLOADS[3].name, WORKLOADS[0].name]
    first = Table(machine(), tuple(row(name, comparison("numpy", 0.5)) for name in names))
    second = Table(machine(date="2026-01-03"), (row(names[0], comparison("numpy", 0.25)),))
    found = merged([first, second])
    assert [one.name for one in found.rows] == [names[1], names[0]]
    assert [one.comparisons[0].ratio for one in found.rows] == [0.5, 0.25]
    assert found.machine["date"] == "2026-01-03"
    with pytest.raises(InputError, match="processor is B in one and A processor in another"):
        merged([first, Table(machine(processor="B"), ())])


def test_the_command_writes_everything_and_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, docs, plot, readme = (tmp_path / name for name in ("s.json", "speed.md", "speed.png", "README.md"))
    source.write_text(TABLE.to_json(), encoding="utf-8")
    readme.write_text(f"{BEGIN}\n{END}\n", encoding="utf-8")
    words = ["--from", str(source), "--docs", str(docs), "--plot", str(plot), "--readme", str(readme), "--json", str(tmp_path / "all.json")]
    assert main(words) == 0
    assert docs.read_text(encoding="utf-8") == markdown(TABLE, "speed.png")
    assert readme.read_text(encoding="utf-8") == f"{readme_block(TABLE)}\n"
    assert read_table(tmp_path / "all.json") == TABLE
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == ""
    assert main(["--from", str(source)]) == 0
    assert capsys.readouterr().out == f"{text_table(TABLE)}\n"
    assert main(["--from", str(tmp_path / "none.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_same_measurements_give_the_same_picture() -> None:
    assert ratios_image(TABLE) == ratios_image(TABLE)
    assert ratios_image(TABLE) != ratios_image(Table(machine(), (row("first", comparison("numpy", 9.0)),)))
