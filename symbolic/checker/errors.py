"""The one failure of the checker: a document that is not shown to be a proof."""

from __future__ import annotations


class CheckError(Exception):
    """The document is malformed, or one of its steps does not follow. The text says where and why."""
