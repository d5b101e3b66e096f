"""The profilers inside the daemon begin and write on the same signal."""

import json
import pstats
import time

import pytest

from benchmarks.profiled import Toggle


def spin():
    until = time.process_time() + 0.1
    while time.process_time() < until:
        sum(range(100))


@pytest.mark.parametrize("kind", ["sample", "cprofile"])
def test_the_second_signal_writes_what_was_seen_since_the_first(tmp_path, kind):
    toggle = Toggle(kind, tmp_path)
    toggle()
    spin()
    toggle()
    (path,) = tmp_path.iterdir()
    if kind == "sample":
        found = json.loads(path.read_text())
        assert any("spin" in name for name in found["inclusive"])
    else:
        assert any(name == "spin" for _, _, name in pstats.Stats(str(path)).stats)
