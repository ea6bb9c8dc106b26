"""How the process ends: exit statuses, signals and closed pipes, all without a traceback and with everything tidied up.

Ctrl-C, SIGTERM and a closed terminal raise `Interrupted`, which is no `Exception` and no `KeyboardInterrupt`: neither the
command-line library nor a library that is at work catches it, and every `with` and `finally` on the way out removes what is half
done. The statuses beyond those of `sim.errors` are the shell's own: 128 plus the number of the signal.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from sim.errors import RoutepactError

FAILED_STATUS = 1
CLOSED_PIPE_STATUS = 141
"""128 + SIGPIPE: whoever read our output has left, as in `routepact schema | head -1`."""
_SIGNAL_BASE = 128
_IMPATIENCE_S = 1.0


class Interrupted(BaseException):
    """Somebody wants the process to end; `signal_number` says how."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


class PipeClosed(BaseException):
    """Nobody reads standard output (or standard error) any more."""


def exit_status_of(command: Callable[[], object]) -> int:
    """Run the command line and return the exit status, after telling what went wrong in one line on standard error.

    Parameters
    ----------
    command
        Takes the arguments of the process; may leave by SystemExit, as command-line libraries do.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a sign that the terminal cannot show is no reason to fail
    try:
        with _signals_raise():
            status = _status_of(command)
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a failure can still be told
            return status
    except Interrupted as interruption:
        _tell("interrupted" if interruption.signal_number == signal.SIGINT else "terminated")
        return _SIGNAL_BASE + interruption.signal_number
    except (PipeClosed, BrokenPipeError):
        _forget_output()
        return CLOSED_PIPE_STATUS
    except RoutepactError as error:
        _tell(str(error))
        return error.exit_status
    except MemoryError as error:
        _tell(f"not enough memory {error}".strip())
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        _tell(f"{place}{error.strerror or error}")
        _forget_output()
    return FAILED_STATUS


def _status_of(command: Callable[[], object]) -> int:
    try:
        command()
    except SystemExit as leaving:
        if leaving.code is None or isinstance(leaving.code, int):
            return leaving.code or 0
        raise
    return 0


def _tell(line: str) -> None:
    try:
        print(f"routepact: {line}", file=sys.stderr)
    except OSError:
        _forget_output()  # nobody listens; the exit status says the same


def _forget_output() -> None:
    """Let what is still buffered go nowhere, so that the interpreter does not complain about it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Turn the signals that end a process into `Interrupted`; those that the caller had set to be ignored (nohup) stay so."""
    raised_at = -_IMPATIENCE_S

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal raised_at
        # Who presses Ctrl-C twice in a row means it once; the second must not cut short the tidying up.
        if time.monotonic() - raised_at >= _IMPATIENCE_S:
            raised_at = time.monotonic()
            raise Interrupted(number)

    before: dict[int, Any] = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
