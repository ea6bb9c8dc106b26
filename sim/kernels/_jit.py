"""The one place that names numba's flags.

`kernel` compiles a function for arrays and scalars: nopython, nogil (threads and the dashboard's clicks run beside it), cached
on disk, no fastmath (a reordered sum would change bytes), and division by zero as in numpy (inf, nan), because a check in an
inner loop costs a branch.

numba's cache looks at the file of the function itself alone: a cached caller of an edited kernel in another file would go on
with the old code. So the cache folder carries the hash of all kernel sources. It lies in the user's cache folder, since an
installation may be read-only; NUMBA_CACHE_DIR overrides that.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from platformdirs import user_cache_path

_Function = TypeVar("_Function", bound=Callable[..., Any])

# numba types neither its settings nor its decorator.
_settings: Any = numba.config
_jit: Any = numba.jit

_FLAGS: dict[str, Any] = {"nopython": True, "nogil": True, "cache": True, "fastmath": False, "error_model": "numpy"}


def _cache_folder() -> Path:
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).resolve().parent.glob("*.py")):
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    name = f"sim-{digest.hexdigest()[:16]}"
    base = os.environ.get("NUMBA_CACHE_DIR")
    folder = (Path(base) if base else user_cache_path("routepact") / "numba") / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    # A home that cannot be written is common in containers; to compile again after a restart is better than not to start. The
    # folder is new and our own, since whoever could write there before us could make us run his code.
    return Path(tempfile.mkdtemp(prefix="routepact-")) / name


_CACHE_FOLDER = str(_cache_folder())


def kernel(function: _Function) -> _Function:
    """Compile `function` on its first call for each combination of argument types."""
    return _compiled(function, _FLAGS)


def inlined(function: _Function) -> _Function:
    """Do as `kernel` does, and copy the body into every kernel that calls it.

    For a few lines in innermost loops: a call that hands over a tuple of ten arrays takes longer than the lines do.
    """
    return _compiled(function, _FLAGS | {"inline": "always"})


def _compiled(function: _Function, flags: dict[str, Any]) -> _Function:
    # numba reads the folder when it decorates; put back afterwards, because other packages in the process cache too.
    before = _settings.CACHE_DIR
    _settings.CACHE_DIR = _CACHE_FOLDER
    try:
        decorated: _Function = _jit(**flags)(function)
    finally:
        _settings.CACHE_DIR = before
    return decorated
