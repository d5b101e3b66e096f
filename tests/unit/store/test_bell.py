"""The bell: who listens is woken, and nobody else waits for anything."""

import os
import resource
import subprocess
import sys
import threading
import time

import pytest

from s3filters.store.bell import Bell


@pytest.fixture
def make(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    bells = []

    def make():
        bells.append(Bell(fd))
        return bells[-1]

    yield make
    for bell in bells:
        bell.close()
    os.close(fd)


def test_who_listens_is_woken(make):
    listener, other = make(), make()
    assert not listener.wait(0)
    threading.Timer(0.1, other.ring).start()
    began = time.monotonic()
    assert listener.wait(20)
    assert time.monotonic() - began < 10


def test_what_rang_before_the_wait_is_heard_once_however_often_it_rang(make):
    listener, other = make(), make()
    listener.wait(0)
    for _ in range(5000):  # more than a socket keeps: nobody who rings waits
        other.ring()
    assert listener.wait(20)
    assert not listener.wait(0)


def test_where_nobody_listens_nothing_happens(make):
    make().ring()


def test_one_listens_at_a_time_and_the_next_takes_over(make):
    first, second = make(), make()
    first.wait(0)
    assert not second.wait(0)
    second.ring()
    assert first.wait(0)
    first.close()
    second.wait(0)
    first.ring()
    assert second.wait(20)


def test_other_folders_have_bells_of_their_own(make, tmp_path):
    listener = make()
    listener.wait(0)
    (tmp_path / "other").mkdir()
    fd = os.open(tmp_path / "other", os.O_RDONLY)
    Bell(fd).ring()
    os.close(fd)
    assert not listener.wait(0)


def test_another_process_rings(make, tmp_path):
    listener = make()
    listener.wait(0)
    code = "import os, sys; from s3filters.store.bell import Bell; "
    code += "Bell(os.open(sys.argv[1], os.O_RDONLY)).ring()"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert listener.wait(20)


def test_it_is_heard_in_a_process_that_has_a_thousand_connections(make):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    others = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        listener, other = make(), make()
        assert not listener.wait(0)
        other.ring()
        assert listener.wait(20)
    finally:
        for fd in others:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_who_rings_all_the_time_does_not_keep_the_listener(make):
    class Endless:
        heard = 0

        def fileno(self):
            return ready

        def recv(self, count):
            self.heard += 1
            assert self.heard < 1_000_000
            return b""

        def close(self):
            pass

    ready, write = os.pipe()
    os.write(write, b"x")
    listener = make()
    listener._socket = Endless()
    assert listener.wait(0)
    os.close(ready)
    os.close(write)
