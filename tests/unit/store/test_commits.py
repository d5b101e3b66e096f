"""Syncs are shared by those whose changes were made before, and by nobody else."""

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from s3filters.store import commits
from s3filters.store.commits import Commits


@pytest.fixture
def disk(monkeypatch):
    """A disk that takes a moment for a sync, and knows what was done before each."""
    return Disk(monkeypatch)


class Disk:
    def __init__(self, monkeypatch, takes_s=0.005):
        self.syncs = 0
        self.changes = set()
        self.durable = set()
        self.takes_s = takes_s
        self.error = None
        monkeypatch.setattr(os, "fsync", self._sync)

    def _sync(self, fd):
        taken = set(self.changes)
        self.syncs += 1
        time.sleep(self.takes_s)
        if self.error is not None:
            raise self.error
        self.durable |= taken


def test_one_alone_waits_for_nobody(disk, monkeypatch):
    monkeypatch.setattr(commits, "GATHER_S", 60)
    Commits().visit().sync(3)
    assert disk.syncs == 1


def test_those_that_were_announced_share_one_sync(disk, monkeypatch):
    monkeypatch.setattr(commits, "GATHER_S", 60)
    shared = Commits()
    visits = [shared.visit() for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda visit: visit.sync(3), visits))
    assert disk.syncs == 1


def test_one_that_gave_up_is_not_waited_for(disk, monkeypatch):
    monkeypatch.setattr(commits, "GATHER_S", 60)
    shared = Commits()
    gone = shared.visit()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(shared.visit().sync, 3)
        gone.close()
        gone.close()
        waiting.result(10)
    assert disk.syncs == 1


def test_one_that_does_not_come_is_waited_for_a_moment_only(disk):
    shared = Commits()
    late = shared.visit()
    began = time.monotonic()
    shared.visit().sync(3)
    assert time.monotonic() - began < 1
    late.sync(3)
    assert disk.syncs == 2


def test_nobody_returns_before_its_own_change_is_durable(disk):
    """Also who comes while a sync is under way, which may have looked at the change too early."""
    shared = Commits()
    disk.takes_s = 0.001

    def work(number):
        dice = random.Random(number)
        for turn in range(10):
            visit = shared.visit()
            time.sleep(dice.random() / 500)
            disk.changes.add((number, turn))
            visit.sync(3)
            assert (number, turn) in disk.durable

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(12)))
    assert disk.syncs < 120


def test_an_error_is_told_to_all_that_shared_the_sync_and_to_nobody_later(disk, monkeypatch):
    monkeypatch.setattr(commits, "GATHER_S", 60)
    shared = Commits()
    disk.error = OSError(28, "No space left on device")
    visits = [shared.visit() for _ in range(4)]

    def sync(visit):
        with pytest.raises(OSError, match="No space") as caught:
            visit.sync(3)
        return caught.value.errno

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(sync, visits)) == [28] * 4
    assert disk.syncs == 1
    disk.error = None
    shared.visit().sync(3)


def test_a_leader_that_dies_fails_those_that_waited_and_the_next_goes_on(disk, monkeypatch):
    shared = Commits()
    waiting = shared.visit()
    entered = threading.Event()

    def die(fd):
        entered.set()
        time.sleep(0.05)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(commits, "GATHER_S", 60)
        patch.setattr(os, "fsync", die)

        def lead():
            with pytest.raises(KeyboardInterrupt):
                shared.visit().sync(3)

        with ThreadPoolExecutor(2) as pool:
            leader = pool.submit(lead)
            time.sleep(0.02)
            with pytest.raises(OSError, match="given up"):
                waiting.sync(3)
            leader.result(10)
    assert entered.is_set()
    shared.visit().sync(3)
    assert disk.syncs == 1
