"""Run the campaign and print its table: ``python -m kernelproof.symbolic.soundness``; exit code 1 where a false statement got through."""

from __future__ import annotations

import argparse
import sys

from kernelproof.symbolic.printing.render import text
from kernelproof.symbolic.soundness.campaign import campaign, owners, table


def main() -> int:
    """False neighbours of every theorem: none may be proved, none accepted."""
    parser = argparse.ArgumentParser(prog="python -m kernelproof.symbolic.soundness", description=main.__doc__)
    parser.add_argument("--wide", action="store_true", help="every variant, 20 false neighbours of each theorem, all to the checker")
    parser.add_argument("--phase", metavar="NAME", help="this phase only")
    chosen = parser.parse_args()
    asked = [owner for owner in owners(chosen.wide) if chosen.phase in (None, owner.phase)]
    counts = campaign(asked, 20, 6, heavy=20) if chosen.wide else campaign(asked)
    print(table(counts))
    for count in counts.values():
        for name, attack, one in count.holes:
            print(f"HOLE: {name}, by {attack}: {', '.join(map(text, one.hypotheses))} ⊢ {text(one.conclusion)}", file=sys.stderr)
    few = [name for count in counts.values() for name in count.few]
    if few:
        print(f"fewer false neighbours than wanted: {', '.join(few)}")
    return int(any(count.holes for count in counts.values()))


if __name__ == "__main__":
    raise SystemExit(main())
