"""The snippets of README.md run as they stand: ``python`` blocks as scripts, ``console`` blocks line by line.

They run in order in one temporary folder that holds a copy of README.md: a later block may use a file that an earlier
one wrote. A command of a console block follows ``$ `` and must exit with 0, or with N where the block opens with
``exit=N``; a line that ends in a backslash goes on. What the README shows as output is not compared.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
FENCE = re.compile(r"^(`{3,})(python|console)\b([^\n`]*)\n(.*?)^\1[ ]*$", re.DOTALL | re.MULTILINE)
SECONDS = 600


@dataclass(frozen=True)
class Block:
    line: int
    language: str
    exit_code: int
    text: str


def blocks(text: str) -> list[Block]:
    found = []
    for match in FENCE.finditer(text):
        asked = re.search(r"\bexit=(\d+)", match[3])
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(line, match[2], int(asked[1]) if asked else 0, match[4]))
    return found


def commands(block: Block) -> list[str]:
    joined = re.sub(r"\\\n(?:> ?)?", "", block.text)
    return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]


BLOCKS = blocks(README.read_text(encoding="utf-8")) if README.is_file() else []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("readme")
    shutil.copyfile(README, path / README.name)
    return path


def test_readme_has_snippets() -> None:
    assert README.is_file(), "README.md is missing"
    assert BLOCKS, "README.md has no python or console block"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"line-{block.line}-{block.language}")
def test_snippet(block: Block, folder: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    if block.language == "python":
        script = folder / f"snippet_line_{block.line}.py"
        script.write_text(block.text, encoding="utf-8")
        calls: list[list[str]] = [[sys.executable, script.name]]
    else:
        calls = [["sh", "-c", command] for command in commands(block)]
    assert calls, f"the block at line {block.line} of README.md has no command: start one with '$ '"
    for call in calls:
        done = subprocess.run(
            call,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == block.exit_code, f"{call[-1]} exited {done.returncode}:\n{done.stdout}"


def test_blocks_are_read() -> None:
    text = "a\n```python\nx = 1\n```\n```console exit=1\n$ one \\\n  two\noutput\n$ three\n```\n```sh\nnot run\n```\n"
    python, console = blocks(text)
    assert (python.language, python.line, python.exit_code, python.text) == ("python", 2, 0, "x = 1\n")
    assert (console.exit_code, commands(console)) == (1, ["one   two", "three"])
