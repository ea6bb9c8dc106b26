from __future__ import annotations

import threading

import numpy as np
import pytest

from sim import parallel
from sim.errors import InputError
from sim.parallel import over_rows, thread_count


@pytest.mark.parametrize("value", ["0", "-1", "two", "", " ", "1.5", "²", "٣", "9" * 5000, "000"])
def test_a_bad_number_of_threads_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ROUTEPACT_THREADS", value)
    with pytest.raises(InputError, match="ROUTEPACT_THREADS") as caught:
        thread_count()
    assert "whole number" in str(caught.value)


@pytest.mark.parametrize(("value", "count"), [("1", 1), ("16", 16), ("007", 7)])
def test_a_number_of_threads(monkeypatch: pytest.MonkeyPatch, value: str, count: int) -> None:
    monkeypatch.setenv("ROUTEPACT_THREADS", value)
    assert thread_count() == count


def test_as_many_as_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROUTEPACT_THREADS", raising=False)
    assert thread_count() >= 1


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("n_rows", [0, 1, 2, 7, 100])
def test_every_row_once(monkeypatch: pytest.MonkeyPatch, threads: int, n_rows: int) -> None:
    monkeypatch.setattr(parallel, "thread_count", lambda: threads)
    done = np.zeros(n_rows, np.int64)

    def work(first: int, past_last: int) -> None:
        assert first < past_last
        done[first:past_last] += 1

    over_rows(n_rows, work)
    assert (done == 1).all()


def test_pieces_run_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "thread_count", lambda: 2)
    meeting = threading.Barrier(2, timeout=20)
    over_rows(2, lambda first, past_last: meeting.wait() and None)


def test_an_error_in_a_piece_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "thread_count", lambda: 2)

    def work(first: int, past_last: int) -> None:
        raise InputError(f"row {first}")

    with pytest.raises(InputError, match="row"):
        over_rows(10, work)
