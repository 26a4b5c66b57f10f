"""A target in a process of its own: one that crashes, hangs, exits or eats memory is a failed property, and the suite goes on.

- A target by name is imported in the worker alone; what it supports, and how arrays cross to its library, is found out there.
- A function in memory goes there through cloudpickle; where that is not installed, by its name, if the worker can import it.
- A generated kernel is ours and runs in this process; so does a function that does not travel. ``Target.isolation`` says which.

Guarantees: those of :mod:`kernelproof.properties.remote`; the worker ends with the block.
Cannot see: side effects in this process, such as a list that the target appends to.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from types import ModuleType
from typing import Any

from kernelproof.properties.remote import IsolatedCall, Remote
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.targets import Target, load_target
from kernelproof.properties.watched import INSIDE, Died, Limits
from kernelproof.symbolic.errors import InputError

PROCESS = "worker process"
GENERATED = "none (a generated kernel is ours)"


@contextmanager
def isolated_target(spec: str, *, limits: Limits | None = None, **options: Any) -> Iterator[Target]:
    """What :func:`load_target` gives for these arguments, loaded in a worker that ends with the block.

    A target that ends, blocks or fills the process while it is imported is an :class:`InputError`.
    """
    if spec.startswith("generated:"):
        yield replace(load_target(spec, **options), isolation=GENERATED)
        return
    if reason := _unable():
        yield replace(load_target(spec, **options), isolation=f"none ({reason})")
        return
    remote = Remote(("name", spec, options), limits or Limits())
    try:
        try:
            kind, found = remote.start()
        except Died as death:
            raise InputError(
                f"loading the target {spec!r}: importing it {death.text}; check that it imports by itself, from this folder, "
                "in this environment"
            ) from None
        if kind == "unusable":
            raise InputError(found)
        if kind != "ready":
            raise RuntimeError(f"in the worker of the target: {found}")
        known = {field.name for field in fields(Target)}
        made = Target(function=_elsewhere, **{name: value for name, value in found.items() if name in known})
        yield _with_call(made, remote)
    finally:
        remote.close()


@contextmanager
def isolated_function(target: Target, *, limits: Limits | None = None) -> Iterator[Target]:
    """A target in memory, its function called in a worker that ends with the block; in this process where it does not travel."""
    if type(target.function).__module__ == "kernelproof.numeric.kernel":
        yield replace(target, isolation=GENERATED)
        return
    reason = _unable()
    remote: Remote | None = None
    try:
        # a function that its module gives away where it is imported needs no copy; any other travels as it is
        for copied in (False, True) if not reason else ():
            try:
                payload = _pickled(target.function, copied)
                if remote is not None:
                    remote.close()
                remote = Remote(("function", payload, target.phase, dict(target.variant)), limits or Limits())
                kind, *rest = remote.start()
            except ImportError:
                reason = "cloudpickle is not installed"
                break
            except Died as death:
                kind, rest = "unusable", [f"loading it {death.text}"]
            except Exception as error:
                kind, rest = "unusable", [f"{type(error).__name__}: {error}"]
            if kind == "ready":
                reason = ""
                break
            reason = f"the function does not travel to a worker: {' '.join(str(rest[0]).split())[:200]}"
        if reason or remote is None:
            yield replace(target, isolation=f"none ({reason})")
        else:
            yield _with_call(target, remote)
    finally:
        if remote is not None:
            remote.close()


def _with_call(target: Target, remote: Remote) -> Target:
    if target.patient:
        remote.wait_long()
    call = IsolatedCall(target.function, phase_shape(target.phase, target.variant), remote=remote)
    return replace(target, isolation=PROCESS, remote=call)


def _unable() -> str:
    """Why there can be no worker here."""
    if os.environ.get(INSIDE) == "1":
        return "this is a worker already"
    if os.name != "posix" or not sys.executable:
        return "no worker can be started on this system"
    return ""


def _pickled(function: Callable[..., Any], copied: bool) -> bytes:
    """The function as bytes; ``copied`` with its module's contents, also while that module is still being imported.

    Without cloudpickle it travels by its name alone.
    """
    try:
        import cloudpickle
    except ImportError:
        if copied:
            raise
        try:
            return pickle.dumps(function, pickle.HIGHEST_PROTOCOL)
        except Exception:
            raise ImportError("cloudpickle") from None
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if module is None or not (copied or _unfinished(module)) or module.__name__ == "__main__":
        return bytes(cloudpickle.dumps(function, protocol=pickle.HIGHEST_PROTOCOL))
    cloudpickle.register_pickle_by_value(module)
    try:
        return bytes(cloudpickle.dumps(function, protocol=pickle.HIGHEST_PROTOCOL))
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _unfinished(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _elsewhere(*arguments: Any, **options: Any) -> Any:
    raise RuntimeError("the function is in a worker process; call it through Target.call")
