"""The two kinds of failure: the user's input, and a fault of our own.

Guarantees that every message meant for a user is an :class:`InputError`; the command line turns exactly these into one line on
stderr and exit code 2.
"""


class InputError(ValueError):
    """A call, file or target that cannot be used. The text says what was being done, the value, what was expected, what to do."""


class ProofError(Exception):
    """A rule was applied where it does not hold. Raised by the trusted core; never shown for bad user input."""
