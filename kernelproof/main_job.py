"""The main job: a real text through every phase, with a report.

What it does: tokenises the text, then for each phase derives, generates, verifies, and runs the generated NumPy kernel on what the
text gives: embedding, positions, attention in several heads, feed-forward, norms, and the whole encoder block. Every number and
picture in the report comes from this run.

Guarantees: the report appears whole or not at all; Ctrl-C in a phase writes those that are finished and says so; the same text and
options give the same numbers, times aside, as far as a phase is done within its seconds. Cannot see: the meaning of the text:
weights are random (seeded), nothing is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits

from kernelproof.model_run import HEADS, HIDDEN, WIDTH, TextRun
from kernelproof.reports.build import THREADS, Written, gpu_note, phase_section, proved, verified, versions
from kernelproof.reports.model import PhaseSection, Report
from kernelproof.reports.progress import Steps
from kernelproof.reports.write import check_destination, write_report
from kernelproof.symbolic.registry import phases
from kernelproof.text import read_text
from kernelproof.tokenise import Tokens, tokenise


def run(
    text_file: str | Path,
    directory: str | Path = "kernelproof-report",
    tokenizer: str = "bpe",
    max_tokens: int = 512,
    seed: int = 0,
    progress: bool = True,
) -> Written:
    """Run the main job on a text file and write the report.

    Raises InputError for a file, tokenizer or directory that cannot be used; then nothing is written.
    """
    source = Path(text_file)
    target = check_destination(Path(directory))
    names = list(phases())
    sections: list[PhaseSection] = []
    ok, interrupted = True, False
    with threadpool_limits(THREADS), Steps(len(names) + 2, progress) as steps:
        steps.start(f"tokenise {source.name}")
        tokens = tokenise(read_text(source), tokenizer, max_tokens, seed)
        steps.start("run the phases on the text")
        outcome = TextRun(tokens, seed)
        try:
            for name in names:
                steps.start(f"{name}: derive, generate, verify")
                kernels, verdicts = verified(name, seed, "quick")
                ok = ok and all(verdict.verdict == "pass" for _, verdict in verdicts)
                sections.append(phase_section(kernels, verdicts, outcome.shapes(name), outcome.figures(name)))
        except KeyboardInterrupt:
            steps.interrupt()
            interrupted = True
    ok = ok and outcome.within_bounds
    report = Report(
        title=f"kernelproof on {source.name}",
        subtitle="One text through every phase of a Transformer encoder: derived, generated, verified, run",
        overview=_overview(source, tokens, outcome, sections),
        sections=tuple(sections),
        reproduction=_command(source, target, tokenizer, max_tokens, seed),
        versions=versions(),
        notes=_notes(tokens, outcome, seed, interrupted),
    )
    return Written(write_report(report, target), ok and not interrupted, interrupted)


def _overview(source: Path, tokens: Tokens, outcome: TextRun, sections: Sequence[PhaseSection]) -> tuple[tuple[str, str], ...]:
    rows = [row for section in sections for row in section.properties]
    held = sum(row.verdict == "pass" for row in rows)
    used = f"{tokens.used} of {tokens.total_tokens} tokens" if tokens.used < tokens.total_tokens else f"all {tokens.used} tokens"
    return (
        ("Text", f"{source.name}, {used}"),
        ("Tokenizer", f"{tokens.tokenizer}; vocabulary of {tokens.vocabulary_size}"),
        ("Model", f"width {WIDTH}, {HEADS} heads, {HIDDEN} hidden units, random weights"),
        ("Theorems", f"{sum(map(proved, sections))} proved for symbolic sizes"),
        ("Properties", f"{held} of {len(rows)} passed, {sum(row.examples for row in rows)} examples"),
        *outcome.summary(),
    )


def _notes(tokens: Tokens, outcome: TextRun, seed: int, interrupted: bool) -> tuple[str, ...]:
    notes = [gpu_note(), outcome.scale_note(seed)]
    if tokens.used < tokens.total_tokens:
        notes.append(f"The first {tokens.used} of {tokens.total_tokens} tokens were used; --max-tokens changes that.")
    notes += [
        "“Proved” speaks of real numbers; kernels compute with floats, within the bounds shown. See TRUST for every assumption.",
        "“Passed” is sampled: Hypothesis found no counterexample among the examples counted.",
    ]
    if interrupted:
        notes.append("Interrupted: only the phases that were finished are shown.")
    return tuple(notes)


def _command(source: Path, target: Path, tokenizer: str, max_tokens: int, seed: int) -> str:
    words = ["kernelproof", "run", source.name, "-o", target.name]
    words += ["--tokenizer", tokenizer] if tokenizer != "bpe" else []
    words += ["--max-tokens", str(max_tokens)] if max_tokens != 512 else []
    words += ["--seed", str(seed)] if seed else []
    return " ".join(words)
