"""Our hub is still eventlet's: what is made for eventlet runs on it, and faults do not end it."""

import os
import select
import socket

import pytest
from eventlet import hubs
from eventlet.greenthread import sleep, spawn
from eventlet.timeout import Timeout
from greenlet import getcurrent

from s3filters.server.green import Hub, start_hub


@pytest.fixture
def hub():
    return start_hub()


def test_it_is_the_hub_of_this_thread(hub):
    assert hubs.get_hub() is hub
    assert isinstance(hub, Hub)


def test_eventlets_own_waiting_works(hub):
    ours, theirs = socket.socketpair()

    def answer():
        hubs.trampoline(theirs, read=True, timeout=1)
        theirs.send(theirs.recv(10))

    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        thread = spawn(answer)
        sleep(0)
        hubs.trampoline(ours, write=True)
        ours.send(b"hello")
        hubs.trampoline(ours, read=True, timeout=1)
        assert ours.recv(10) == b"hello"
        thread.wait()


def test_eventlets_timeouts_work(hub):
    with pytest.raises(Timeout), Timeout(0.01):
        sleep(1)


def test_a_watcher_is_told_of_each_edge_once(hub):
    main, bell, told = getcurrent(), os.eventfd(0, os.EFD_NONBLOCK), []

    def tell(events):
        told.append(events)
        if len(told) < 3:
            hub.later(0, os.eventfd_write, bell, 1)
        elif len(told) == 3:
            hub.later(0.02, main.switch)

    hub.watch(bell, tell, select.EPOLLIN)
    os.eventfd_write(bell, 1)
    hub.switch()
    assert told == [select.EPOLLIN] * 3
    hub.unwatch(bell)
    hub.unwatch(bell)  # again does nothing
    os.eventfd_write(bell, 1)
    sleep(0.01)
    assert len(told) == 3
    os.close(bell)


def test_a_fault_in_a_watcher_or_timer_is_logged_and_the_hub_goes_on(hub, caplog):
    bell = os.eventfd(1, os.EFD_NONBLOCK)

    def fail(*_):
        raise KeyError("lost")

    hub.watch(bell, fail, select.EPOLLIN)
    hub.later(0, fail)
    sleep(0.01)
    sleep(0.01)
    hub.unwatch(bell)
    os.close(bell)
    assert "a watcher of descriptor" in caplog.text
    assert "a timer failed" in caplog.text


def test_pause_lets_others_run(hub):
    ran = []
    hub.later(0, ran.append, 1)
    hub.pause()
    assert ran == [1]
