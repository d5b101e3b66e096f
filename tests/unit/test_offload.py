"""Where blocking work runs: at once here, and in the installed place once there is one."""

import contextvars
import threading
import time

import pytest

from s3filters import offload


@pytest.fixture
def put_back(monkeypatch):
    monkeypatch.setattr(offload, "_installed", offload.Direct())


def fail():
    raise OSError("disk")


def test_without_a_server_work_runs_in_the_callers_thread(put_back):
    assert offload.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(OSError, match="disk"):
        offload.run(fail)


def test_started_work_gives_its_result_or_its_error_when_waited_for(put_back):
    assert offload.start(divmod, 7, 2).wait() == (3, 1)
    failed = offload.start(fail)
    with pytest.raises(OSError, match="disk"):
        failed.wait()


def test_an_installed_place_gets_all_work(put_back):
    class Recorder(offload.Direct):
        calls = []

        def run(self, function, *args):
            self.calls.append(function.__name__)
            return super().run(function, *args)

    offload.install(Recorder())
    assert offload.run(abs, -1) == 1
    assert Recorder.calls == ["abs"]


def test_what_is_started_here_is_done_at_once(put_back):
    assert offload.start(divmod, 7, 2).done(0)


def test_slow_work_goes_on_beside_its_caller(put_back):
    go_on = threading.Event()
    handle = offload.start_slow(go_on.wait, 5)
    assert not handle.done(0.01)
    go_on.set()
    assert handle.done(5)
    assert handle.wait() is True


def test_slow_work_is_waited_for_and_fails_as_any_other(put_back):
    assert offload.start_slow(divmod, 7, 2).wait() == (3, 1)
    failed = offload.start_slow(fail)
    assert failed.done(5)
    with pytest.raises(OSError, match="disk"):
        failed.wait()
    ended = offload.start_slow(exit)
    assert ended.done(5)
    with pytest.raises(SystemExit):
        ended.wait()


def test_slow_work_knows_whose_it_is(put_back):
    name = contextvars.ContextVar("name", default="nobody")
    name.set("somebody")
    assert offload.start_slow(name.get).wait() == "somebody"


def test_sleeping_takes_time(put_back):
    began = time.monotonic()
    offload.sleep(0.02)
    assert time.monotonic() - began >= 0.02
