"""The pool: results and errors come back, order is the caller's, and other green threads run."""

import threading
import time

import pytest
from greenlet import getcurrent

from s3filters.server.green import start_hub
from s3filters.server.offload import Pool


@pytest.fixture
def pool():
    pool = Pool(start_hub(), 2)
    yield pool
    pool.stop()


def test_work_runs_in_another_thread_and_its_result_comes_back(pool):
    assert pool.run(lambda a, b: (threading.get_ident(), a + b), 1, 2)[1] == 3
    assert pool.run(threading.get_ident) != threading.get_ident()


def test_an_error_comes_back_as_it_was_raised(pool):
    def fail():
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        pool.run(fail)
    handle = pool.start(fail)
    with pytest.raises(KeyError, match="lost"):
        handle.wait()


def test_work_that_ends_the_program_only_ends_its_caller(pool):
    with pytest.raises(SystemExit):
        pool.run(exit)
    assert pool.run(len, "abc") == 3


def test_started_work_goes_on_while_its_caller_does(pool):
    began, go_on = threading.Event(), threading.Event()

    def work():
        began.set()
        assert go_on.wait(5)
        return "done"

    handle = pool.start(work)
    assert began.wait(5)
    go_on.set()
    assert handle.wait() == "done"


def test_results_may_be_asked_for_in_any_order(pool):
    handles = [pool.start(str, number) for number in range(50)]
    time.sleep(0.01)
    assert [h.wait() for h in reversed(handles)] == [str(n) for n in reversed(range(50))]


def test_other_green_threads_run_meanwhile(pool):
    hub, main = pool._hub, getcurrent()
    ran = []

    def green(number):
        pool.run(time.sleep, 0.01)
        ran.append(number)
        if len(ran) == 10:
            main.switch()

    for number in range(10):
        hub.later(0, hub.spawn, green, number)
    hub.switch()
    assert sorted(ran) == list(range(10))


def test_work_that_asks_for_more_work_does_not_deadlock(pool):
    def deeper(levels):
        return pool.run(deeper, levels - 1) + 1 if levels else 0

    handles = [pool.start(deeper, 10) for _ in range(8)]
    assert [handle.wait() for handle in handles] == [10] * 8
    assert pool.run(lambda: pool.start(len, "ab").wait()) == 2


def test_in_the_hub_itself_work_is_just_done(pool):
    main = getcurrent()
    found = []

    def in_hub():
        found.append(pool.run(threading.get_ident))
        main.switch()

    pool._hub.later(0, in_hub)
    pool._hub.switch()
    assert found == [threading.get_ident()]


def test_a_waiter_that_was_thrown_out_is_not_woken_later(pool):
    hub, main = pool._hub, getcurrent()
    go_on = threading.Event()
    waiting = []

    def green():
        waiting.append(getcurrent())
        try:
            pool.run(go_on.wait, 5)
        except TimeoutError:
            main.switch()

    hub.later(0, hub.spawn, green)
    hub.later(0.01, lambda: waiting[0].throw(TimeoutError))
    hub.switch()
    go_on.set()
    assert pool.run(len, "abc") == 3


def test_a_wait_may_have_an_end(pool):
    go_on = threading.Event()
    handle = pool.start(go_on.wait, 5)
    began = time.monotonic()
    assert not handle.done(0.03)
    assert 0.02 < time.monotonic() - began < 2
    go_on.set()
    assert handle.done(5)
    assert time.monotonic() - began < 2
    assert handle.wait() is True
    assert handle.done(0)


def test_slow_work_takes_no_thread_from_the_quick(pool):
    go_on = threading.Event()
    handles = [pool.start_slow(go_on.wait, 5) for _ in range(5)]
    began = time.monotonic()
    assert pool.run(len, "abc") == 3
    assert time.monotonic() - began < 2
    go_on.set()
    assert all(handle.wait() for handle in handles)
    assert pool.start_slow(threading.current_thread).wait().name.startswith("slow-")


def test_what_failed_is_done(pool):
    handle = pool.start_slow(exit)
    assert handle.done(5)
    with pytest.raises(SystemExit):
        handle.wait()


def test_a_wait_that_ended_early_leaves_nothing_that_wakes_its_caller_later(pool):
    assert pool.start(len, "abc").done(0.02)
    began = time.monotonic()
    pool.run(time.sleep, 0.05)
    pool.sleep(0.05)
    assert time.monotonic() - began > 0.09


def test_other_green_threads_run_while_one_sleeps_or_waits_for_a_while(pool):
    hub, main = pool._hub, getcurrent()
    ran = []

    def sleeper():
        pool.sleep(0.02)
        ran.append("slept")
        main.switch()

    def waiter():
        ran.append(pool.start(time.sleep, 0.05).done(0.01))

    hub.later(0, hub.spawn, sleeper)
    hub.later(0, hub.spawn, waiter)
    hub.switch()
    assert ran == [False, "slept"]


def test_in_a_real_thread_sleeping_and_waiting_just_block(pool):
    def work():
        began = time.monotonic()
        pool.sleep(0.02)
        return pool.start_slow(len, "ab").done(0) and time.monotonic() - began >= 0.02

    assert pool.run(work)


def test_what_fails_at_once_in_a_real_thread_fails_where_it_is_waited_for(pool):
    def work():
        handle = pool.start(exit)
        with pytest.raises(SystemExit):
            handle.wait()
        return True

    assert pool.run(work)
