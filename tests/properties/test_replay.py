"""A saved counterexample is run again with exactly its inputs; a file that cannot be used is one line and exit 2."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from kernelproof.__main__ import main
from kernelproof.properties.model import build, held
from kernelproof.properties.registry import properties_of
from kernelproof.properties.saved import packed, read_saved, unpacked
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import check_variant

RIGHT = """\
import numpy as np


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)
"""
ODD = """

plain = softmax


def softmax(x):
    return plain(x) * np.float32(1 + (x == np.float32(0.1234567)).all())
"""
WRONG = RIGHT.replace("x - x.max(-1, keepdims=True, initial=-np.inf)", "x")
KERNELS = '''\
import numpy as np


def attention(q, k, v, *, causal=False, mask=None):
    """Neither the scale nor the mask; wrong in most ways."""
    s = q @ np.swapaxes(k, -1, -2)
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) @ v


def layer_norm(x, gain, bias, *, eps=1e-5):
    x[...] = 0
    return x


def embedding(ids, table):
    if len(ids) > 2:
        raise ValueError("too long")
    return table[ids] * table.dtype.type(1.5)


def encoder_block(x, params, *, n_heads):
    return x + params["bias2"]


def positional(n_positions, d_model, *, start=0):
    return np.zeros((n_positions, d_model), np.float32)
'''


def words(path: Path, function: str = "softmax", phase: str = "softmax", *more: object) -> list[str]:
    return ["verify", f"{path}:{function}", "--phase", phase, *map(str, more)]


@pytest.fixture(autouse=True)
def toy_tolerance() -> Iterator[None]:
    """The derived bounds instead of the toy ones of this folder; one thread, as the products are tiny."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The verdict on the wrong softmax, as text."""
    folder = tmp_path_factory.mktemp("found")
    (folder / "mine.py").write_text(WRONG)
    assert main(words(folder / "mine.py", "softmax", "softmax", "--profile", "quick", "--json", folder / "verdict.json")) == 1
    return (folder / "verdict.json").read_text(encoding="utf-8")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(WRONG)
    return path


@pytest.fixture
def saved(found: str, tmp_path: Path) -> Path:
    """Its counterexamples in a file."""
    path = tmp_path / "verdict.json"
    path.write_text(found, encoding="utf-8")
    return path


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def failed(found: dict[str, Any]) -> list[str]:
    return [row["id"] for row in found["properties"] if row["verdict"] == "fail"]


# -- the whole way ------------------------------------------------------------------------------------------------------------------------


def test_it_fails_again_until_the_kernel_is_mended(mine: Path, saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = failed(read(saved))
    assert "softmax.shift_invariance" in names and "softmax.stable_form" not in names
    assert main(words(mine, "softmax", "softmax", "--replay", saved)) == 1
    shown = capsys.readouterr()
    rows = {line.split()[0]: line.split()[1:3] for line in shown.out.splitlines() if line.startswith("softmax.")}
    # one example each, and nothing but what is in the file
    assert rows == {name: ["fail", "1"] for name in names}
    assert "FAILED softmax.shift_invariance" in shown.out and shown.err == ""
    mine.write_text(RIGHT)
    assert main(words(mine, "softmax", "softmax", "--replay", saved, "--json", tmp_path / "after.json")) == 0
    after = read(tmp_path / "after.json")
    assert [row["id"] for row in after["properties"]] == names and failed(after) == []
    assert after["verdict"] == "pass"
    assert "FAILED" not in capsys.readouterr().out


def test_two_replays_say_the_same_and_a_replay_can_be_replayed(mine: Path, saved: Path, tmp_path: Path) -> None:
    found = []
    for number, source in enumerate((saved, saved, tmp_path / "0.json")):
        path = tmp_path / f"{number}.json"
        assert main(words(mine, "softmax", "softmax", "--replay", source, "--json", path)) == 1
        verdict = read(path)
        for row in verdict["properties"]:
            del row["seconds"]
        found.append(verdict)
    assert found[0] == found[1] == found[2]
    for row in found[0]["properties"]:
        first = next(one["counterexample"] for one in read(saved)["properties"] if one["id"] == row["id"])
        assert {**row["counterexample"], "reproducer": ""} == {**first, "reproducer": ""}


@pytest.mark.parametrize(
    ("phase", "dtype"),
    [
        ("attention", "float32"),
        ("attention", "float16"),
        ("layer_norm", "float64"),
        ("embedding", "float32"),
        ("encoder_block", "float32"),
        ("positional", "float32"),
    ],
)
def test_every_failure_of_a_phase_fails_again(phase: str, dtype: str, tmp_path: Path) -> None:
    path, first, again = tmp_path / "kernels.py", tmp_path / "first.json", tmp_path / "again.json"
    path.write_text(KERNELS)
    assert main(words(path, phase, phase, "--profile", "quick", "--max-seconds", 5, "--dtype", dtype, "--json", first)) == 1
    assert main(words(path, phase, phase, "--replay", first, "--json", again)) == 1
    names = failed(read(first))
    assert names and failed(read(again)) == names
    counterexamples = [{row["id"]: row["counterexample"] for row in read(file)["properties"]} for file in (first, again)]
    for one in (*counterexamples[0].values(), *counterexamples[1].values()):
        if one:
            # a search says below why the definition was missed
            one["reproducer"] = one["reproducer"].rstrip("\n").split("\n\n# ")[0]
    assert {name: counterexamples[0][name] for name in names} == counterexamples[1]


def test_one_property_alone_is_a_file_too(mine: Path, saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = next(row for row in read(saved)["properties"] if row["id"] == "softmax.row_sum_one")
    path = tmp_path / "one.json"
    path.write_text(json.dumps(row))
    assert main(words(mine, "softmax", "softmax", "--replay", path)) == 1
    shown = capsys.readouterr().out
    assert "softmax.row_sum_one" in shown and "softmax.shift_invariance" not in shown


def test_a_target_that_cannot_take_the_inputs_is_not_counted_as_passed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, file = tmp_path / "kernels.py", tmp_path / "verdict.json"
    path.write_text(KERNELS)
    assert main(words(path, "attention", "attention", "--profile", "quick", "--json", file)) == 1
    whole = read(file)
    whole["properties"] = [row for row in whole["properties"] if row["id"] == "attention.later_tokens_do_not_matter"]
    assert failed(whole)
    file.write_text(json.dumps(whole))
    capsys.readouterr()
    path.write_text(KERNELS.replace(", *, causal=False, mask=None", ""))
    # nothing was conclusive
    assert main(words(path, "attention", "attention", "--replay", file)) == 1
    shown = capsys.readouterr().out
    assert "not_applicable" in shown and "later_tokens_do_not_matter" in shown and "the target does not take causal" in shown, shown


# -- bits ---------------------------------------------------------------------------------------------------------------------------------


def test_the_arrays_of_the_file_are_what_the_target_sees(mine: Path, saved: Path, tmp_path: Path) -> None:
    """Not those that the recipe would make: here they are other ones."""
    whole = read(saved)
    whole["properties"] = [row for row in whole["properties"] if row["id"] == "softmax.matches_definition"]
    inputs = whole["properties"][0]["counterexample"]["inputs"]
    made = unpacked(inputs["exact"]["x"])
    other = np.full(made.shape, np.float32(0.1234567))
    inputs["exact"]["x"] = packed(other)
    saved.write_text(json.dumps(whole))
    mine.write_text(RIGHT + ODD)
    assert main(words(mine, "softmax", "softmax", "--replay", saved, "--json", tmp_path / "after.json")) == 1
    row = read(tmp_path / "after.json")["properties"][0]["counterexample"]
    assert unpacked(row["inputs"]["exact"]["x"]).tobytes() == other.tobytes()
    assert np.array_equal(np.array(row["inputs"]["x"], np.float32), other)
    inputs["exact"]["x"] = packed(made)
    saved.write_text(json.dumps(whole))
    assert main(words(mine, "softmax", "softmax", "--replay", saved)) == 0


def test_held_inputs_are_those_of_their_case_alone(saved: Path) -> None:
    one = read_saved(saved, "softmax", check_variant("softmax", {}))[0][0]
    other = build(one.case)
    other.tensors["x"][...] = 7
    with held(one.case, other):
        first = build(one.case)
        assert (first.tensors["x"] == 7).all()
        first.tensors["x"][...] = 8
        assert (build(one.case).tensors["x"] == 7).all()
    assert build(one.case).tensors["x"].tobytes() == one.inputs.tensors["x"].tobytes()


def test_the_file_names_properties_of_the_phase(saved: Path) -> None:
    known = {found.id for found in properties_of("softmax", {})}
    assert {one.property_id for one in read_saved(saved, "softmax", {})[0]} <= known


# -- files that cannot be used -------------------------------------------------------------------------------------------------------


def counterexample(whole: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(row["counterexample"] for row in whole["properties"] if row["counterexample"])
    return found


def without_failures(whole: dict[str, Any]) -> None:
    whole["properties"] = [row for row in whole["properties"] if row["verdict"] == "pass"]


def renamed(whole: dict[str, Any]) -> None:
    next(row for row in whole["properties"] if row["counterexample"])["id"] = "softmax.beauty"


def without_arrays(whole: dict[str, Any]) -> None:
    del counterexample(whole)["inputs"]["exact"]


def other_shape(whole: dict[str, Any]) -> None:
    counterexample(whole)["inputs"]["exact"]["x"] = packed(np.zeros((9, 9, 9), np.float32))


def cut_off(whole: dict[str, Any]) -> None:
    found = counterexample(whole)["inputs"]["exact"]["x"]
    found["data"] = found["data"][:8]


def odd_recipe(whole: dict[str, Any]) -> None:
    counterexample(whole)["inputs"]["recipe"]["seed"] = [1]


DAMAGE: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (without_failures, "no counterexample in it; name a file that 'kernelproof verify --json FILE' wrote on a failure"),
    (renamed, "replaying softmax.beauty: softmax has no such property here; write the file again with this version"),
    (without_arrays, "softmax.matches_definition cannot be read (KeyError: 'exact'); write the file again with --json"),
    (other_shape, "softmax.matches_definition: x does not fit its recipe; write the file again with --json"),
    (cut_off, "softmax.matches_definition cannot be read ("),
    (odd_recipe, "softmax.matches_definition cannot be read (TypeError: unhashable type: 'list'"),
]


@pytest.mark.parametrize(("damage", "text"), DAMAGE, ids=[row[0].__name__ for row in DAMAGE])
def test_a_damaged_file_is_one_line(
    mine: Path, saved: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[dict[str, Any]], None], text: str
) -> None:
    whole = read(saved)
    damage(whole)
    saved.write_text(json.dumps(whole))
    assert main(words(mine, "softmax", "softmax", "--replay", saved)) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1 and text in shown.err


def test_another_phase_variant_or_dtype_is_refused_before_the_target_is_loaded(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = f"kernelproof verify: reading counterexamples from {str(saved)!r}: softmax.matches_definition is of "
    gone = Path("not_there.py")
    for phase, more, text in (
        ("activation", [], "phase softmax, not activation"),
        ("softmax", ["--dtype", "float16"], "dtype float32, not float16"),
    ):
        assert main(words(gone, "f", phase, "--replay", saved, *more)) == 2
        assert capsys.readouterr().err == f"{start}{text}; choose that of the file\n"


def test_another_variant_is_refused(tmp_path: Path) -> None:
    path, file = tmp_path / "kernels.py", tmp_path / "verdict.json"
    path.write_text(KERNELS)
    assert main(words(path, "positional", "positional", "--profile", "quick", "--json", file)) == 1
    with pytest.raises(InputError, match="variant denominator=paper,layout=interleaved, not layout=halves,denominator=paper; choose that"):
        read_saved(file, "positional", check_variant("positional", {"layout": "halves"}))
