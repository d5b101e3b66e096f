"""Where blocking work runs: at once here, and in the installed place once there is one."""

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
