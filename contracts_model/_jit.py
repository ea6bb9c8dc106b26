"""The one place of contracts_model that names numba's flags.

Integers only are computed here, so that no flag about floating point matters; `nogil` lets other threads run beside a batch.
numba's cache on disk looks at the file of the compiled function alone: a cached batch loop would go on calling the old
version of an operation that was edited in another file. Therefore the folder of the cache carries a hash of every file that a
kernel is made of.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])

# numba types neither its settings nor the two wrapper options.
_settings: Any = numba.config
_jit: Any = numba.jit

# Without reference counts: a call that hands the seventeen tables on would otherwise count each of them up and down (measured:
# 190 ns a refused operation instead of 3). Safe here, because no kernel creates or keeps an array: they lie with the caller.
# Inlined by force: to hand the tables on means 130 words on the stack at every call (measured: 410 ns a life of an escrow instead
# of 270, and a tenth less to compile).
_FLAGS: dict[str, Any] = {"nopython": True, "nogil": True, "cache": True, "fastmath": False, "forceinline": True, "_nrt": False}


def _source_hash() -> str:
    here = Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for source in (Path(__file__).resolve(), here / "outcomes.py", *sorted((here / "kernels").glob("*.py"))):
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _cache_folder() -> str:
    chosen = _settings.CACHE_DIR  # what NUMBA_CACHE_DIR said
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = f"contracts-{_source_hash()}"
    folder = (Path(chosen) if chosen else home / "routepact" / "numba") / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        # A read-only home is common in containers; compiling again after a restart is better than not starting.
        folder = Path(tempfile.gettempdir()) / f"routepact-{os.getuid()}" / name
        folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


_CACHE_FOLDER = _cache_folder()


def _compiled(function: _Function, **wrappers: bool) -> _Function:
    before = _settings.CACHE_DIR
    _settings.CACHE_DIR = _CACHE_FOLDER  # read while decorating; other packages of the process have their own
    try:
        decorated: _Function = _jit(**_FLAGS, **wrappers)(function)
    finally:
        _settings.CACHE_DIR = before
    return decorated


def kernel(function: _Function) -> _Function:
    """Compile `function` at its first call; its machine code is kept in the folder of these sources."""
    return _compiled(function, no_cfunc_wrapper=True)


def helper(function: _Function) -> _Function:
    """Compile a function that only kernels call: without the wrapper for Python.

    Which takes longer to compile than the function.
    """
    return _compiled(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def entry_point(compiled: Callable[..., Any]) -> Callable[..., Any] | None:
    """Machine code of a kernel that has been compiled for one combination of types, without numba's look at every argument.

    That look costs 5 microseconds for the tables of a book, ten times the operation itself. The caller answers for the types:
    arguments of the same types as in the first call. `None` where the kernel is not compiled yet, or is no compiled function
    at all (NUMBA_DISABLE_JIT).
    """
    overloads = getattr(compiled, "overloads", {})
    if len(overloads) != 1:
        return None
    found: Callable[..., Any] = next(iter(overloads.values())).entry_point
    return found
