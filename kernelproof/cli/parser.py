"""Arguments of the eight subcommands.

Guarantees one line on stderr and exit 2 for arguments that cannot be read. Knows no phase or variant by name: the
registries do, and the commands ask them.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from kernelproof import __version__

DTYPES = ("float16", "bfloat16", "float32", "float64")
BACKENDS = ("numpy", "cupy")
PROFILES = ("quick", "standard", "thorough")


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line; the usage is one ``--help`` away."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see '{self.prog} --help'\n")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read a command line; ``command`` names the module of ``kernelproof.cli`` that carries it out."""
    words = list(argv)
    if words[:1] == ["derive"]:
        # The contract's `--check[=full]`: argparse alone would take a phase after a bare `--check` for its value.
        following = [*words[1:], ""]
        words = [
            "--check=instance" if word == "--check" and after != "full" else word
            for word, after in zip(words, following, strict=True)
        ]
    return build().parse_args(words)


def build() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="kernelproof",
        description="Transformer kernels derived, generated and tested from the same theorems.",
        epilog="Start with 'kernelproof run YOUR_TEXT.txt', or 'kernelproof phases' to see what there is.\n"
        "Exit codes: 0 everything held; 1 something failed or nothing was conclusive; 2 the call is unusable.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"kernelproof {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=OneLineParser)
    for add in (_phases, _derive, _generate, _verify, _check, _report, _bench, _run):
        add(commands)
    return parser


Commands = Any  # argparse keeps the type of its subparsers private


def _command(commands: Commands, name: str, summary: str, *examples: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog="\n".join(("examples:", *(f"  kernelproof {name} {example}".rstrip() for example in examples))),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return parser


def _phases(commands: Commands) -> None:
    _command(commands, "phases", "list the phases with their variants, theorems and properties", "")


def _derive(commands: Commands) -> None:
    parser = _command(
        commands,
        "derive",
        "print the derivation of a phase, from its definition to the form that kernels compute",
        "softmax",
        "softmax --check",
        "attention --vjp --check=full",
        "positional --variant layout=halves --format markdown",
    )
    _phase(parser)
    _variant(parser)
    _vjp(parser, "derive the gradient")
    parser.add_argument(
        "--check",
        nargs="?",
        const="instance",
        choices=("instance", "full"),
        metavar="full",
        help="replay every proof with the second checker, and look at each theorem at random sizes; =full: with z3 as well",
    )
    parser.add_argument(
        "--format",
        choices=("text", "markdown", "latex", "json"),
        default="text",
        help="form of the output (%(default)s)",
    )


def _generate(commands: Commands) -> None:
    parser = _command(
        commands,
        "generate",
        "write a kernel that stands alone, and its certificate beside it",
        "softmax -o softmax.py",
        "feed_forward --backend cupy --variant activation=gelu -o ffn.py",
    )
    _phase(parser)
    _variant(parser)
    _vjp(parser, "generate the gradient kernel PHASE_vjp(inputs…, grad_out, …) → a tuple of gradients")
    parser.add_argument(
        "--backend", choices=BACKENDS, default="numpy", help="array library of the kernel (%(default)s)"
    )
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="type the kernel is made for (%(default)s)")
    parser.add_argument(
        "-o", "--output", type=_path, required=True, metavar="FILE", help="file to write, in a folder that exists"
    )


def _verify(commands: Commands) -> None:
    parser = _command(
        commands,
        "verify",
        "test a kernel, yours or a generated one, against the theorems of its phase",
        "generated:softmax --phase softmax",
        "my_kernels.py:attention --phase attention --supports causal,mask",
        "torch.nn.functional:scaled_dot_product_attention --phase attention --profile quick",
        "mypackage.kernels:ffn --phase feed_forward --variant activation=gelu --json verdict.json",
        "mypackage.kernels:ffn --phase feed_forward --variant activation=gelu --replay verdict.json",
        "my_kernels.py:softmax --phase softmax --against my_kernels.py:plain_softmax",
        "my_kernels.py:attention_backward --phase attention --vjp",
    )
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="module:function or path/to/file.py:function (so too a class, a torch module, a compiled function), path/to/model.onnx, "
        "or generated:PHASE",
    )
    parser.add_argument("--phase", required=True, help="what the kernel computes; 'kernelproof phases' lists them")
    _variant(parser)
    _vjp(parser, "TARGET is the gradient kernel f(inputs…, grad_out, …) → a tuple of gradients; of a function of PyTorch or JAX, its own")
    parser.add_argument("--backend", choices=BACKENDS, default="numpy", help="of a generated target (%(default)s)")
    parser.add_argument(
        "--supports",
        type=_names,
        metavar="A,B,…",
        help="features that TARGET has, such as causal,mask,scale (default: read from its signature)",
    )
    parser.add_argument("--dtype", choices=DTYPES, help="type of the inputs (default: the phase's own choice)")
    parser.add_argument("--profile", choices=PROFILES, default="standard",
                        help="how hard to search: quick about 10 s, standard 60 s, thorough 600 s or --max-seconds (%(default)s)")
    parser.add_argument(
        "--precision",
        default="",
        metavar="NAME=VALUE,…",
        help="how TARGET's arithmetic differs from the dtype's own, for the bounds: products=tfloat32, score=bfloat16, exp=8, tile=64, …",
    )
    parser.add_argument("--max-seconds", type=_seconds, metavar="S",
                        help="search for so many seconds at most; a target that crashes or hangs may take 20 %% and 5 s more")
    parser.add_argument("--seed", type=_natural, metavar="N", help="repeat the search of an earlier run")
    parser.add_argument("--strict", action="store_true", help="inconclusive properties make the exit code 1")
    parser.add_argument(
        "--against",
        metavar="OTHER",
        help="compare with another function too, named as TARGET is: a property PHASE.against, within twice the rounding bound",
    )
    parser.add_argument(
        "--replay",
        type=_path,
        metavar="FILE",
        help="do not search: run the counterexamples of FILE (from --json) again, with exactly their inputs",
    )
    parser.add_argument("--json", type=_path, metavar="FILE", help="write the verdict as JSON; --replay reads it")
    parser.add_argument("--junit", type=_path, metavar="FILE", help="write the verdict as JUnit XML")


def _check(commands: Commands) -> None:
    parser = _command(
        commands,
        "check",
        "check a certificate from scratch: derive, generate and verify again",
        "softmax.certificate.json",
    )
    parser.add_argument("certificate", type=_path, metavar="CERTIFICATE", help="NAME.certificate.json beside a kernel")


def _report(commands: Commands) -> None:
    parser = _command(
        commands,
        "report",
        "write a report of phases: equations, steps, kernels, verdicts and figures",
        "-o report",
        "softmax attention -o report",
    )
    parser.add_argument("phases", nargs="*", metavar="PHASE", help="phases to report (default: all)")
    parser.add_argument("-o", "--output", type=_path, required=True, metavar="DIR", help="folder to write")


def _bench(commands: Commands) -> None:
    parser = _command(
        commands,
        "bench",
        "measure the generated kernels: their speed against others, block sizes (--tune), or what the properties are worth (--power)",
        "",
        "attention --against numpy,torch,products --json speed.json",
        "attention --against flash,cudnn,gemm      on a GPU, and nothing on the CPU",
        "feed_forward layer_norm.vjp",
        "attention --tune",
        "softmax --power --json power.json",
    )
    parser.add_argument("phases", nargs="*", metavar="PHASE", help="phases to measure, PHASE.vjp for its gradient alone (default: all)")
    parser.add_argument(
        "--against",
        type=_names,
        metavar="A,B,…",
        help="what to compare with: numpy (the textbook), torch, onnxruntime, products (the same machine's bare products); and on a GPU, "
        "whose rows of attention, layer_norm and positional are measured beside: flash, cudnn (PyTorch's SDPA held to either), compile "
        "(torch.compile), cupy (the textbook), gemm, copy (the device's own rates); default: all, those of a GPU where there is one",
    )
    parser.add_argument(
        "--power",
        action="store_true",
        help="the kill table: which property convicts each registered wrong kernel, and whether np.allclose would have caught it",
    )
    parser.add_argument(
        "--tune",
        action="store_true",
        help="look for block sizes that are faster on this machine, and keep them in $KERNELPROOF_TUNING or the user's folder of settings",
    )
    parser.add_argument("--json", type=_path, metavar="FILE", help="write the table as JSON")


def _run(commands: Commands) -> None:
    parser = _command(
        commands,
        "run",
        "derive, generate and verify all phases on a text of yours, and report",
        "README.md",
        "book.txt -o book-report --tokenizer word --max-tokens 128",
    )
    parser.add_argument("text_file", type=_path, metavar="TEXT_FILE", help="a text in UTF-8, 64 MiB at most")
    parser.add_argument(
        "-o",
        "--output",
        type=_path,
        default=Path("kernelproof-report"),
        metavar="DIR",
        help="folder to write (%(default)s)",
    )
    parser.add_argument(
        "--tokenizer",
        default="bpe",
        metavar="bpe|word|char|FILE",
        help="how to cut the text: bpe trained on it, words, characters, or a tokenizer.json (%(default)s)",
    )
    parser.add_argument(
        "--max-tokens", type=_positive, default=512, metavar="N", help="use the first N tokens (%(default)s)"
    )
    parser.add_argument("--seed", type=_natural, default=0, metavar="N", help="of the random parameters (%(default)s)")


def _phase(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("phase", metavar="PHASE", help="name of a phase; 'kernelproof phases' lists them")


def _variant(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="choose a variant of the phase; may be repeated",
    )


def _vjp(parser: argparse.ArgumentParser, meaning: str) -> None:
    parser.add_argument("--vjp", action="store_true", help=meaning)


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("an empty path; give the name of a file or folder")
    return Path(text)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty name in it; separate names by single commas")
    return names


def _number(kind: Callable[[str], float], holds: Callable[[float], bool], expected: str) -> Callable[[str], Any]:
    def read(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = math.nan
        if not holds(number):
            raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
        return number

    return read


_natural = _number(int, lambda number: number >= 0, "a whole number from 0 up")
_positive = _number(int, lambda number: number >= 1, "a whole number from 1 up")
_seconds = _number(float, lambda number: 0 < number < math.inf, "a positive number of seconds")
