"""Translation validation: every kernel agrees with its definition to 45 digits, and slips in its text are seen."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from numeric_cases import ALL, kernel_of, name_of

from kernelproof.numeric import validation
from kernelproof.numeric.exact_array import NotInTheSubstitute
from kernelproof.numeric.exact_calls import calls
from kernelproof.numeric.exact_definition import by_definition, difference, digits_of
from kernelproof.numeric.exact_execution import Execution
from kernelproof.numeric.exact_kinds import NotExact
from kernelproof.numeric.kernel import Kernel, generate
from kernelproof.numeric.schedules import threads
from kernelproof.numeric.validation import AGREEING, Validation, kernels, main, validate
from kernelproof.symbolic.errors import InputError


def changed(phase: str, variant: Mapping[str, object], old: str, new: str, dtype: str = "float32") -> Validation:
    """The validation of a kernel with each ``old`` in its text replaced."""
    kernel = kernel_of(phase, variant, dtype)
    assert old in kernel.source, f"{old!r} is no longer in the file of {phase}: bring this test up to date"
    return validate(replace(kernel, source=kernel.source.replace(old, new)))


def of_threads(found: Validation) -> list[str]:
    """What was not reached of the text that shares blocks among threads, which tests/numeric/schedules/test_threads.py runs."""
    lines = [line.strip() for line in threads.HELPER.splitlines() if line.strip()]
    source = kernel_of(found.phase, dict(found.variant)).source.splitlines()
    return [missing for missing in found.coverage.missing if source[int(re.findall(r"line (\d+)", missing)[0]) - 1].strip() in lines]


@pytest.mark.parametrize(("phase", "variant"), ALL, ids=name_of)
def test_every_kernel_agrees_with_its_definition(phase: str, variant: dict[str, object]) -> None:
    kernel = kernel_of(phase, variant)
    found = validate(kernel)
    assert found.passed and found.digits >= AGREEING == 45 and found.entries > 20 and found.refused == found.bad > 0, str(found)
    assert found.sha256 == hashlib.sha256(kernel.source.encode()).hexdigest()
    # max(…, 1) is never 0, which the schedule does not know
    allowed = ["`steps` was never false"] if variant.get("denominator") == "half_minus_one" else []
    assert [missing.partition(": ")[2] for missing in found.coverage.missing if missing not in of_threads(found)] == allowed


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
@pytest.mark.parametrize("phase", ["positional", "attention", "rms_norm"])
def test_other_types_agree_too(phase: str, dtype: str) -> None:
    found = validate(kernel_of(phase, None, dtype), seed=5)
    assert found.passed and found.digits >= AGREEING, str(found)


POST, PAPER = {"norm": "post", "activation": "silu"}, {"layout": "interleaved", "denominator": "paper"}
HARMFUL: list[tuple[str, dict[str, object], str, str]] = [
    ("attention", {}, "q * (scale * UNIT)", "q * UNIT"),
    ("attention", {}, "q * scale, np.zeros", "q, np.zeros"),
    ("attention", {}, "1.0 / math.log(2.0)", "1.0"),
    ("attention", {}, "total[:, rows] += np.matmul", "total[:, rows] = np.matmul"),
    ("attention", {}, "weights[:, some] *= visible", "pass"),
    ("attention", {}, "np.where(visible, weights[:, some], -math.inf)", "weights[:, some]"),
    ("attention", {}, "np.exp(top[:, rows] - shift), highest", "np.exp(shift - top[:, rows]), highest"),
    ("attention", {}, "out[:, rows] *= past[:, :, None]", "pass"),
    ("attention", {}, "weights += bias[:, rows, keys]", "weights -= bias[:, rows, keys]"),
    ("attention", {}, "max(first, left - ahead)", "max(first, left - ahead + 1)"),
    ("attention", {}, "min(rows, count - 1 - at)", "min(rows, count - 2 - at)"),
    ("attention", {}, "allow[:, top:bottom, left:right]", "allow[:, top:bottom, 0 : right - left]"),
    ("attention", {}, "1.0 / math.sqrt(d) if d", "1.0 / d if d"),
    ("attention", {}, "total[total == 0] = math.inf", "pass"),
    ("attention", {}, "offset if causal else m", "m - n if causal else m"),
    ("attention", {"window": 2}, "first + ahead - behind + 1", "first + ahead - behind + 2"),
    ("attention", {"window": 2}, "edge = behind - at", "edge = behind - at + 1"),
    ("attention", {"sinks": True}, "POWER(sink * UNIT)", "POWER(sink)"),
    ("attention", {"sinks": True}, "top[...], total[...] = sink[:, None]", "top[...], total[...] = sink[:, None] + 1"),
    ("attention", {"alibi": True}, "slope[:, None, None] * distance", "distance"),
    ("attention", {"softcap": 2.0}, "np.tanh(tile, out=tile)", "pass"),
    ("multi_head_attention", {}, "np.matmul(x, w_k", "np.matmul(x, w_q"),
    ("multi_head_attention", {}, "math.sqrt(f)", "math.sqrt(d)"),
    ("multi_head_attention", {}, "room.reshape((len(room), heads, f)), -3", "room.reshape((len(room), f, heads)), -1"),
    ("multi_head_attention", {}, "by_head[2, :, part]", "by_head[1, :, part]"),
    ("softmax", {}, "total1[..., None]", "total1[..., None] * 1.0000000000000000000000000000000000000001"),
    ("softmax", {}, "np.matmul(out, ones)", "np.matmul(out[..., 1:], ones[1:])"),
    ("softmax", {}, "(number + 1) * size", "number * size + size - 1"),
    ("softmax", {}, "_each(-(-rows // size)", "_each(rows // size"),
    ("layer_norm", {}, "total1 / (d or math.inf)", "total1 / (d - 1 or math.inf)"),
    ("layer_norm", {}, " + eps", ""),
    ("layer_norm", {}, "np.multiply(out, gain, out=out)", "pass"),
    ("layer_norm", {}, "np.add(out, bias, out=out)", "np.add(x, bias, out=out)"),
    ("rms_norm", {}, '"...a,...a->...", x, x', '"...a->...", x'),
    ("rms_norm", {}, "eps=1e-5", "eps=1e-6"),
    ("rms_norm", {}, "np.sqrt(", "("),
    ("rotary", {"layout": "halves"}, "np.subtract(left, product", "np.add(left, product"),
    ("rotary", {"layout": "halves"}, "x[..., h:]", "x[..., h - 1:d - 1]"),
    ("rotary", {"layout": "interleaved"}, "out[..., 1::2]", "out[..., 0::2]"),
    ("rotary", {"layout": "interleaved"}, "start + (rows.start", "start + (0"),
    ("positional", PAPER, "steps = d / 2", "steps = d // 2"),
    ("positional", PAPER, "start + (rows.start", "start - (rows.start"),
    ("positional", PAPER, "back[size - count :]", "back[:count]"),
    ("positional", PAPER, "turns.real - 1j * turns.imag", "turns.real + 1j * turns.imag"),
    ("positional", PAPER, "- 1j * np.sin(angles)", "+ 1j * np.sin(angles)"),
    ("positional", {**PAPER, "layout": "halves"}, "sines:] = found.imag", "sines:] = found.real"),
    ("rotary", {"layout": "halves"}, "math.log(base)", "math.log(10000.0)"),
    ("positional", PAPER, "math.log(base)", "math.log(10000.0)"),
    ("positional", {**PAPER, "denominator": "half_minus_one"}, "d // 2 - 1", "d // 2"),
    ("embedding", {}, "np.take(table, ids, axis=0)", "np.take(table, ids - 1, axis=0)"),
    ("feed_forward", {"activation": "gelu"}, "np.add(out, b2, out=out)", "pass"),
    ("feed_forward", {"activation": "gelu"}, "math.sqrt(2.0)", "math.sqrt(3.0)"),
    ("activation", {"activation": "relu"}, "np.maximum", "np.minimum"),
    ("activation", {"activation": "gelu_tanh"}, "8943 / 200000", "0.0447150000000000000000000000000000000001"),
    ("encoder_block", POST, "np.add(x, out, out=out)", "pass"),
    ("encoder_block", POST, "np.multiply(value2, gain1", "np.multiply(value2, gain2"),
    ("encoder_block", POST, "joined[part]", "joined[: len(x[part])]"),
    ("encoder_block", POST, "np.matmul(product1, w2, out=out)", "np.matmul(product1, w2, out=value2)"),
    ("encoder_block", POST, "eps = 1e-5", "eps = 1e-6"),
    # what the file refuses, and the type that it promises
    ("rotary", {"layout": "halves"}, "if d % 2:", "if d % 2 and d > 3:"),
    ("attention", {}, "out.astype(dtype, copy=False)", "out.astype(np.float64, copy=False)"),
]


@pytest.mark.parametrize("number", range(len(HARMFUL)), ids=lambda number: f"{HARMFUL[number][0]}-{number}")
def test_a_slip_is_seen(number: int) -> None:
    phase, variant, old, new = HARMFUL[number]
    found = changed(phase, variant, old, new)
    assert not found.passed and found.failures and "FAIL" in str(found)


HARMLESS: list[tuple[str, dict[str, object], str, str]] = [
    ("softmax", {}, "np.max(x, axis=-1, initial=-math.inf)", "np.min(x, axis=-1, initial=math.inf)"),
    ("attention", {}, "2.0**-20", "2.0**20"),  # the running maximum as the shift, always
    ("attention", {}, "min(stop + ahead, m)", "min(stop + ahead + 1, m)"),  # keys that are hidden once more
    ("attention", {"alibi": True}, "first + offset)", "first)"),  # a number for each row, which changes nothing (attention.row_bias)
    ("activation", {"activation": "gelu_tanh"}, "8943 / 200000", "0.044715"),
    ("rms_norm", {}, "eps=1e-5", "eps=1 / 100000"),
    ("layer_norm", {}, "out.astype(dtype, copy=False)", "out.astype(np.float16).astype(dtype)"),  # rounding, which is judged apart
]


@pytest.mark.parametrize("number", range(len(HARMLESS)), ids=lambda number: f"{HARMLESS[number][0]}-{number}")
def test_what_is_equal_passes(number: int) -> None:
    found = changed(*HARMLESS[number])
    assert found.passed and found.digits >= AGREEING, str(found)


def test_only_the_tested_text_is_taken_for_erf() -> None:
    for phase in ("activation", "feed_forward"):
        with pytest.raises(NotExact, match="_erf is not the text of schedules"):
            changed(phase, {"activation": "gelu"}, "49.471624", "49.471625")


# -- files in tiles -----------------------------------------------------------------------------------------------------------

TILED = '''
import math

import numpy as np

BLOCK = 128


def softmax(x{parameter}):
    x = np.asarray(x)
    if x.dtype.kind != "f" and x.dtype.name != "bfloat16":
        raise TypeError(f"softmax: x of dtype {{x.dtype}}")
    if x.ndim < 1:
        raise ValueError(f"softmax: x of shape {{x.shape}}")
    top = np.full(x.shape[:-1] + (1,), -math.inf, dtype=np.float64)
    total = np.zeros(x.shape[:-1] + (1,), dtype=np.float64)
    for begin in range(0, x.shape[-1], {size}):
        tile = x[..., begin:begin + {size}]
        above = np.maximum(top, np.max(tile, axis=-1, keepdims=True))
        if begin:
            np.multiply(total, np.exp(top - above), out=total)
        total += np.sum(np.exp(tile - above), axis=-1, keepdims=True)
        top = above
    out = np.exp(x - top)
    out /= total
    return out.astype(x.dtype)
'''
PLAIN, ARGUMENT = TILED.format(parameter="", size="BLOCK"), TILED.format(parameter=", *, block=64", size="block")


def in_tiles(source: str) -> Validation:
    return validate(replace(kernel_of("softmax"), source=source))


@pytest.mark.parametrize("source", [PLAIN, ARGUMENT])
def test_blocks_are_made_small(source: str) -> None:
    found = in_tiles(source)
    assert found.passed and found.blocks == (2, 3) and found.coverage.missing == [], str(found)
    assert found.calls == validate(kernel_of("softmax")).calls == 2 * 9 + 3  # in blocks of 2 and 3; a few with the size as it is


@pytest.mark.parametrize(
    ("old", "new"),
    [("begin:begin + BLOCK", "begin:begin + BLOCK - 1"), ("np.exp(top - above)", "np.exp(above - top)"), ("if begin:", "if False:")],
)
def test_a_slip_between_tiles_is_seen(old: str, new: str) -> None:
    found = in_tiles(PLAIN.replace(old, new))
    assert old in PLAIN and not found.passed and "in blocks of 2" in found.failures[0]
    # in one tile it would not be seen
    if "BLOCK" not in old:
        assert in_tiles(PLAIN.replace(old, new).replace("BLOCK", "WIDTH")).passed


# -- what is executed ---------------------------------------------------------------------------------------------------------


def test_the_text_itself_runs() -> None:
    found = changed("softmax", {}, "        n = x.shape[-1]", '        raise ValueError("this line ran")')
    assert all("ValueError: this line ran" in failure for failure in found.failures[:9]) and found.digits == 0


FORBIDDEN = (
    "import subprocess", "import os; os.remove('x')", "import numpy.linalg", "from pathlib import Path", "open('x')", "eval('1')",
    "COMPUTE = 2j",
)


@pytest.mark.parametrize("line", FORBIDDEN)
def test_nothing_else_can_be_imported_or_called(line: str) -> None:
    with pytest.raises((ImportError, NameError, NotExact, NotInTheSubstitute)):
        changed("softmax", {}, "COMPUTE = np.float32", f"COMPUTE = np.float32\n{line}")


def test_a_name_that_the_substitute_lacks_is_told() -> None:
    found = changed("softmax", {}, "np.max(", "np.nanmax(")
    assert not found.passed and "numpy.nanmax: the substitute has no such name" in found.failures[0]


def test_an_entry_never_written_is_seen() -> None:
    found = changed("positional", {**PAPER, "layout": "halves"}, "part[:, sines:] =", "unused =")
    assert not found.passed and found.digits == 0


SMALL = '''
import math

def f(x, y=0.1, n=3):
    z = 1 / 3 if n else 0.5
    z **= 2
    z /= n or 1
    if y > 1 and n:
        z = 0
    assert n >= 0
    return [z + i for i in (1, 2) if i != 9], float(x) + y, 2 ** -2, 2 ** 3, math.pi
'''


def test_numbers_of_the_file_are_exact_and_its_decisions_are_told() -> None:
    execution = Execution(SMALL, "f", 60)
    (first, second), third, quarter, eight, pi = execution.call((0.5,), {})
    with mpmath.workdps(60):
        tiny = mpmath.mpf(10) ** -58
        assert abs(first - 1 - mpmath.mpf(1) / 27) < tiny and abs(second - first - 1) < tiny and abs(third - mpmath.mpf(6) / 10) < tiny
        assert quarter == mpmath.mpf(1) / 4 and eight == 8 and abs(pi - mpmath.pi) < tiny
    said = execution.coverage.missing
    assert [line.partition("`")[2] for line in said[1:]] == [
        "n` was never false", "n` was never false", "y > 1` was never true", "y > 1 and n` was never true",
        "n >= 0` was never false", "i != 9` was never false",
    ]
    assert said[0] == "line 9 never ran" and str(execution.coverage) == "lines 8 of 9, branches 6 of 12"
    with pytest.raises(ZeroDivisionError):
        Execution("def f(n):\n    return 1 / n\n", "f", 60).call((0,), {})


def test_a_tracer_that_was_there_is_put_back() -> None:
    def tracer(*_: Any) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        validate(kernel_of("activation"))
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)


# -- the other side -----------------------------------------------------------------------------------------------------------


def test_the_expected_values_are_the_definitions() -> None:
    x = np.array([0.5, -1.0, 2.0], dtype=np.float32)
    with mpmath.workdps(60):
        powers = [mpmath.exp(mpmath.mpf(float(entry))) for entry in x]
        found = by_definition(kernel_of("softmax").derivation, {"x": x}, {}, 60)
        assert max(abs(got - power / mpmath.fsum(powers)) for got, power in zip(found, powers, strict=True)) < mpmath.mpf(10) ** -58
        rows = by_definition(kernel_of("rms_norm").derivation, {"x": x[None], "gain": x}, {}, 60)
        mean = mpmath.fsum(mpmath.mpf(float(entry)) ** 2 for entry in x) / 3
        assert abs(rows[0, 2] - 4 / mpmath.sqrt(mean + mpmath.mpf(1) / 100000)) < mpmath.mpf(10) ** -58


def test_differences() -> None:
    one, other = np.array([mpmath.mpf(2)], dtype=object), np.array([mpmath.mpf(3)], dtype=object)
    assert difference(one, other) == mpmath.mpf(1) / 4 and difference(one, one) == 0
    for bad in (np.array([mpmath.nan], dtype=object), np.array([mpmath.inf], dtype=object), np.array([None]), np.array([], dtype=object)):
        assert difference(bad, one) == mpmath.inf
    assert [digits_of(mpmath.mpf(text), 60) for text in ("inf", "0", "2", "1e-9", "1e-99")] == [0, 60, 0, 9, 60]


def test_a_result_without_entries_is_no_pass() -> None:
    assert not replace(validate(kernel_of("softmax")), entries=0).passed
    assert validate(kernel_of("softmax"), rounds=0).entries == 0


def test_seeds_and_rounds() -> None:
    one, two = (calls("attention", {}, "float32", seed) for seed in (0, 1))
    assert [call.label for call in one] == [call.label for call in two]
    assert any((a.given["q"] != b.given["q"]).any() for a, b in zip(one, two, strict=True))
    once, twice = (validate(kernel_of("softmax"), rounds=rounds) for rounds in (1, 2))
    assert twice.calls == once.calls + 2 * len(calls("softmax", {}, "float32", 0))


def test_what_cannot_be_validated_is_said() -> None:
    with pytest.raises(InputError, match="backend cupy"):
        validate(generate("softmax", backend="cupy"))
    with pytest.raises(InputError, match="no calls of it are known"):
        calls("no such phase", {}, "float32", 0)


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["softmax", "activation", "--dtype", "float16"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("pass") == 5 and "branches" in shown and "gelu_tanh" in shown

    def broken(*given: Any) -> list[Kernel]:
        return [replace(kernel, source=kernel.source.replace("np.exp(", "np.sin(")) for kernel in kernels(*given)]

    monkeypatch.setattr(validation, "kernels", broken)
    assert main(["softmax", "--dtype", "float32"]) == 1
    assert "it agrees with the definition to" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["no such phase"])


def test_check_has_a_line_of_it(tmp_path: Path) -> None:
    from kernelproof.numeric.certificate import check

    _, path = kernel_of("attention").save(tmp_path / "kernel.py")
    (line,) = (line for line in check(path).lines if "the source itself" in line)
    assert line == (
        "ok   instance: the source itself, in 60 digits, agrees with the definition to 60 digits on 49 calls; "
        "refuses 21 of 21 bad calls; branches covered 101 of 106"
    )
