"""The main job on small texts: everything is in the report, bad inputs leave nothing behind, and a failure is shown."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from kernelproof import main_job
from kernelproof.__main__ import main
from kernelproof.numeric import kernel as kernels_of
from kernelproof.numeric.certificate import check
from kernelproof.properties import profiles
from kernelproof.reports import build
from kernelproof.symbolic.registry import phases

TEXT = """\
# A small project

It derives kernels and *verifies* them: `softmax(x + c) = softmax(x)`.
The same text twice, the same text twice; naïve café, 数学 and a tab\there.
"""
FIGURES = {"positions", "attention-weights", "layer-norm", "feed-forward", *(f"{name}-error-over-bound" for name in phases())}
SECONDS = re.compile(r"(?m)\| +[\d.]+ \|$|<td[^>]*>[\d.]+</td>(?=\s*</tr>)")

real_verified = build.verified


@pytest.fixture(scope="module", autouse=True)
def known() -> Iterator[dict[Any, Any]]:
    """Each phase is verified once for all tests: text and tokenizer change nothing in it. Time enough, so that a busy machine neither."""
    found: dict[Any, Any] = {}

    def once(name: str, seed: int | None, profile: str) -> Any:
        if (name, seed, profile) not in found:
            found[name, seed, profile] = real_verified(name, seed, profile)
        return found[name, seed, profile]

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(profiles.PROFILES, "quick", replace(profiles.PROFILES["quick"], seconds=600.0))
        patch.setattr(main_job, "verified", once)
        yield found


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "input" / "text.md"
    path.parent.mkdir()
    path.write_text(TEXT, encoding="utf-8")
    return path


def listing(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def run(*words: object) -> int:
    return main(["run", *map(str, words)])


@dataclass(frozen=True)
class Done:
    folder: Path
    out: str
    err: str


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """One run for the tests that only look at its report."""
    folder, out, err = tmp_path_factory.mktemp("job"), io.StringIO(), io.StringIO()
    (folder / "text.md").write_text(TEXT, encoding="utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert run(folder / "text.md", "-o", folder / "out") == 0
    return Done(folder / "out", out.getvalue(), err.getvalue())


def test_everything_is_in_the_report(report: Done) -> None:
    files = listing(report.folder)
    assert {Path(name).stem for name in files if name.startswith("figures/")} == FIGURES
    endings = [f"{backend}.{ending}" for backend in ("numpy", "cupy") for ending in ("py", "certificate.json")]
    assert {name for name in files if name.startswith("kernels/")} == {f"kernels/{phase}_{end}" for phase in phases() for end in endings}
    page, markdown = ((report.folder / name).read_text(encoding="utf-8") for name in ("index.html", "report.md"))
    for phase in phases().values():
        assert f"## {list(phases()).index(phase.name) + 1}. {phase.title}" in markdown
        assert phase.title in page
        for statement in phase.build({name: option.default for name, option in phase.variants.items()}).statements:
            assert f"`{statement.id}`" in markdown
    for name in FIGURES:
        assert f"figures/{name}.png" in markdown
    assert "were used; --max-tokens changes that" not in markdown
    assert "fail" not in re.findall(r"\| (fail|error|inconclusive) ", markdown)
    # offline: nothing is fetched
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    assert report.out == f"{report.folder / 'index.html'}\n"
    assert report.err.count("\n") == len(phases()) + 2
    assert re.match(r"\[1/13\] tokenise text\.md: \d+\.\d s\n", report.err)


def test_the_kernels_of_the_report_pass_the_check(report: Done, tmp_path: Path) -> None:
    certificates = sorted(report.folder.glob("kernels/*.certificate.json"))
    assert len(certificates) == 2 * len(phases())
    for path in certificates:
        found = check(path)
        assert found.ok, (path.name, found.lines)
    # and the check can fail
    for name in ("softmax_numpy.py", "softmax_numpy.certificate.json"):
        (tmp_path / name).write_text((report.folder / "kernels" / name).read_text(encoding="utf-8").replace("np.exp(", "np.exp2("), "utf-8")
    assert not check(tmp_path / "softmax_numpy.certificate.json").ok


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some phases only, where the test is not about which."""
    some = {name: found for name, found in phases().items() if name in ("positional", "softmax", "attention")}
    monkeypatch.setattr(main_job, "phases", lambda: some)


def without_seconds(folder: Path) -> dict[str, bytes]:
    found = {}
    for name in listing(folder):
        data = (folder / name).read_bytes()
        found[name] = SECONDS.sub("", data.decode()).encode() if name in ("index.html", "report.md") else data
    return found


@pytest.mark.usefixtures("few")
def test_the_same_text_and_seed_give_the_same_report(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are measurements: they alone may differ."""
    monkeypatch.setattr(main_job, "verified", real_verified)
    (tmp_path / "again").mkdir()
    assert run(text, "-o", tmp_path / "out") == 0
    assert run(text, "-o", tmp_path / "again" / "out") == 0
    one, two = without_seconds(tmp_path / "out"), without_seconds(tmp_path / "again" / "out")
    assert set(one) == set(two)
    assert [name for name in one if one[name] != two[name]] == []
    # and times are in it
    assert (tmp_path / "out" / "report.md").read_bytes() != one["report.md"]


@pytest.mark.usefixtures("few")
def test_another_seed_gives_other_weights(report: Done, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verified = main_job.verified
    monkeypatch.setattr(main_job, "verified", lambda name, seed, profile: verified(name, 0, profile))
    assert run(text, "-o", tmp_path / "out", "--seed", 1) == 0
    one, two = (folder / "figures" / "attention-weights.png" for folder in (report.folder, tmp_path / "out"))
    assert one.read_bytes() != two.read_bytes()
    assert "kernelproof run text.md -o out --seed 1" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tokenizer", "word"), "words"),
        (("--tokenizer", "char", "--max-tokens", 5), f"The first 5 of {len(TEXT)} tokens were used; --max-tokens changes that."),
    ],
)
def test_other_tokenizers_and_a_cut(text: Path, tmp_path: Path, words: tuple[object, ...], said: str) -> None:
    assert run(text, "-o", tmp_path / "out", *words) == 0
    markdown = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert said in markdown
    assert "figures/attention-weights.png" in listing(tmp_path / "out")


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("tokenizer", ["bpe", "word"])
def test_one_token_works(tmp_path: Path, tokenizer: str) -> None:
    path = tmp_path / "one.txt"
    path.write_text("a")
    assert run(path, "-o", tmp_path / "out", "--tokenizer", tokenizer) == 0
    assert "all 1 tokens" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "words", "expected"),
    [
        ("", (), "it is empty"),
        ("a\0b", (), "binary"),
        (None, (), "there is no such file"),
        (65 * 2**20, (), "expected at most 67108864 bytes"),
        (" \n", ("--tokenizer", "word"), "token"),
        (TEXT, ("--tokenizer", "missing.json"), "missing.json"),
    ],
    ids=["empty", "binary", "missing", "65 MiB", "blank", "missing tokenizer"],
)
def test_bad_inputs_give_one_line_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | int | None, words: tuple[str, ...], expected: str
) -> None:
    path = tmp_path / "text.md"
    if isinstance(content, int):
        with open(path, "wb") as stream:
            stream.truncate(content)
    elif content is not None:
        path.write_bytes(content.encode())
    before = listing(tmp_path)
    assert run(path, "-o", tmp_path / "out", *words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and expected in captured.err and "Traceback" not in captured.err
    assert listing(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_a_folder_of_somebody_else_is_refused_before_the_work(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    monkeypatch.setattr(main_job, "tokenise", lambda *_: pytest.fail("worked first"))
    assert run(text, "-o", tmp_path / "out") == 2
    assert listing(tmp_path / "out") == {"thesis.tex"}


@pytest.mark.parametrize("phase", ["attention", "embedding"])
def test_an_interrupt_writes_what_is_finished(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], phase: str
) -> None:
    verified = main_job.verified

    def interrupted(name: str, seed: int | None, profile: str) -> Any:
        if name == phase:
            raise KeyboardInterrupt
        return verified(name, seed, profile)

    monkeypatch.setattr(main_job, "verified", interrupted)
    assert run(text, "-o", tmp_path / "out") == 130
    finished = list(phases())[: list(phases()).index(phase)]
    markdown = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "Interrupted: only the phases that were finished are shown." in markdown
    assert [name for name in phases() if f"kernels/{name}_numpy.py" in listing(tmp_path / "out")] == finished
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'out' / 'index.html'}\n"
    assert [f"{name}: derive" in captured.err for name in phases()] == [name in finished for name in phases()]


def test_an_interrupt_inside_a_search_ends_the_run(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search itself keeps what it has and returns; the job must not go on with the next phase."""
    searched = []
    verify_target = build.verify_target

    def half_done(spec: str, **options: Any) -> Any:
        searched.append(options["phase"])
        return replace(verify_target(spec, **{**options, "max_seconds": 0.01}), interrupted=True)

    monkeypatch.setattr(build, "verify_target", half_done)
    monkeypatch.setattr(main_job, "verified", real_verified)
    assert run(text, "-o", tmp_path / "out") == 130
    assert len(searched) == 1
    assert build.report(["softmax", "activation"], tmp_path / "report", progress=False).interrupted
    assert len(searched) == 2


@pytest.mark.usefixtures("few")
def test_a_failing_kernel_exits_with_one_and_shows_its_counterexample(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = kernels_of.generate

    def wrong(phase: str, *words: Any, **options: Any) -> Any:
        kernel = right(phase, *words, **options)
        return replace(kernel, source=kernel.source.replace("np.exp(", "np.exp2(")) if phase == "softmax" else kernel

    verified = main_job.verified
    monkeypatch.setattr(kernels_of, "generate", wrong)
    monkeypatch.setattr(
        main_job, "verified", lambda name, seed, profile: (real_verified if name == "softmax" else verified)(name, seed, profile)
    )
    assert run(text, "-o", tmp_path / "out") == 1
    markdown, page = ((tmp_path / "out" / name).read_text(encoding="utf-8") for name in ("report.md", "index.html"))
    for shown in (markdown, page):
        assert "softmax.matches_definition" in shown
        assert "times the bound" in shown
        assert "kernelproof.generate(" in shown
    assert re.search(r"softmax.matches_definition.*fail", markdown)


@pytest.mark.usefixtures("few")
def test_a_result_beyond_its_bound_on_the_text_exits_with_one(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kernelproof import model_run

    worst = model_run._worst
    monkeypatch.setattr(model_run, "_worst", lambda *arrays: 2 * worst(*arrays) + 1.5)
    assert run(text, "-o", tmp_path / "out") == 1
    found = re.search(r"largest error over bound ([\d.]+)", (tmp_path / "out" / "report.md").read_text(encoding="utf-8"))
    assert found is not None and float(found[1]) >= 1.5
