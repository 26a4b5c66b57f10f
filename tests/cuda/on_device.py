"""A session on a device, from one command: what only a GPU can say of the kernels, the most valuable first.

    make device                                             everything within nine minutes, results in build/device
    python tests/cuda/on_device.py -o build/device --seconds 540
    python tests/cuda/on_device.py -o build/device --only wrappers,bench
    python tests/cuda/on_device.py -o build/device --list   what would be run, without a device

What it does: the parts of ``device_plan`` one after the other, each within its share of the seconds; what one leaves, the next ones have.
Everything is written at once: outcomes.json, a log of each job, wrappers/vectors.json, verify.json and verify.md, bench.json and bench.md;
at the end all of it once more as results.tar.gz, for a machine that brings back few files.
Exit codes: 0 all done; 1 something failed or was cut short; 2 there is no GPU; 130 interrupted. Nothing is installed and nothing committed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tarfile
from collections.abc import Sequence
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: what the jobs import; a machine may have none of it but CuPy
PACKAGES = ("numpy", "scipy", "sympy", "mpmath", "hypothesis", "pytest", "tabulate", "rich", "threadpoolctl", "matplotlib")
SECONDS = 540.0
ARCHIVE = "results.tar.gz"
FAILED, UNUSABLE, INTERRUPTED = 1, 2, 130


def neighbour(name: str) -> ModuleType:
    """A module beside this file, under the name that the tests know it by."""
    full = f"kernelproof_cuda_{name}"
    if full not in sys.modules:
        spec = spec_from_file_location(full, HERE / f"{name}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[full] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


def unusable() -> str:
    """Why nothing can be run here; empty where it can."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        return f"not installed for {sys.executable}: {', '.join(missing)}; install them, or run this by a Python that has them"
    from kernelproof.reports.speed.cuda.device import missing as no_device

    return no_device()


def environment() -> dict[str, str]:
    """What the jobs are run with: the package is found from the root, installed or not, and a log is written line by line."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def archive(folder: Path, names: Sequence[str]) -> None:
    """The results of these parts, and what was put together of them, in one file."""
    together = (path for ending in ("json", "md", "txt") for path in sorted(folder.glob(f"*.{ending}")))
    with tarfile.open(folder / ARCHIVE, "w:gz") as made:
        for path in (*(folder / name for name in names), *together):
            if path.exists():
                made.add(path, path.name)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the session; the exit code."""
    parser = argparse.ArgumentParser("on_device", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True,
                        help="folder of the results; those of an earlier run are written over")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all parts together (%(default)s)")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], metavar="PART,…", help="these parts alone")
    parser.add_argument("--quick", action="store_true", help="without float64, and with memcheck alone of the sanitizers")
    parser.add_argument("--list", action="store_true", help="print the commands and run none")
    arguments = parser.parse_args(argv)
    folder = arguments.output.resolve()
    run, plan = neighbour("device_parts"), neighbour("device_plan")
    parts = plan.parts(run, folder, arguments.quick)
    names = [part.name for part in parts]
    if unknown := [name for name in arguments.only if name not in names]:
        print(f"on_device: --only {','.join(unknown)}: no such part; expected names out of {','.join(names)}", file=sys.stderr)
        return UNUSABLE
    chosen = [part for part in parts if not arguments.only or part.name in arguments.only]
    if arguments.list:
        print("\n".join(f"{part.name}/{job.name}: {job.missing or ' '.join(job.command)}" for part in chosen for job in part.jobs))
        return 0
    if why := unusable():
        print(f"on_device: {why}", file=sys.stderr)
        return UNUSABLE
    session = run.Session(folder, environment(), ROOT, say=lambda text: print(text, flush=True))
    (folder / ARCHIVE).unlink(missing_ok=True)
    interrupted = False
    try:
        session.run(chosen, arguments.seconds)
    except KeyboardInterrupt:
        interrupted = True
    lines = session.summary()
    (folder / "summary.txt").write_text("\n".join((*lines, "")), encoding="utf-8")
    archive(folder, [part.name for part in chosen])
    print("\n".join(("", *lines, f"results: {folder}")))
    return INTERRUPTED if interrupted else 0 if session.ok else FAILED


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
