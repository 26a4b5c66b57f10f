"""The command ``kernelproof``, also ``python -m kernelproof``.

Guarantees that a call ends in an exit code of the contract: 0 everything held, 1 something failed or nothing was
conclusive, 2 the call is unusable (said in one line on stderr), 130 interrupted. A traceback appears only with
``KERNELPROOF_DEBUG=1``.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TextIO

from kernelproof.cli.parser import parse

UNUSABLE = 2
INTERRUPTED = 130
READER_GONE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        _never_fail_on_unicode(stream)
    name = "kernelproof"
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
        name = f"kernelproof {arguments.command}"
        code = int(importlib.import_module(f"kernelproof.cli.{arguments.command}").execute(arguments))
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # argparse: help, version and bad arguments
        return stop.code if isinstance(stop.code, int) else UNUSABLE
    except BrokenPipeError:
        # The reader of a pipe went away (`| head`); keep Python from complaining once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except KeyboardInterrupt:
        _complain(f"{name}: interrupted")
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("KERNELPROOF_DEBUG") == "1":
            traceback.print_exc()
        _complain(f"{name}: {_explain(error)}")
        return UNUSABLE


def _explain(error: Exception) -> str:
    from kernelproof.symbolic.errors import InputError

    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] != "kernelproof":
        return (
            f"the package {error.name.partition('.')[0]!r} that this command needs is not installed; "
            "install kernelproof with its dependencies: pip install kernelproof"
        )
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot use {os.fspath(error.filename)!r}: {error.strerror}; give a path that can be read and written"
    return (
        f"a fault of kernelproof, not of your call: {type(error).__name__}: {error}; "
        "please report it with the traceback that KERNELPROOF_DEBUG=1 prints"
    )


def _complain(message: str) -> None:
    print(" ".join(message.split()), file=sys.stderr)


def _never_fail_on_unicode(stream: TextIO) -> None:
    """Equations are Unicode; a terminal that lacks a sign shows an escape instead of ending the command."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
