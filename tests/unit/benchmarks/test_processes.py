"""What the kernel says of a server's processes."""

import os
import subprocess
import sys
import time

import pytest

from benchmarks.processes import Processes, ServerDied, cpu_seconds, descendants

SPIN = "import time\nwhile time.process_time() < 0.2: pass\nprint('spun', flush=True)\ninput()"


@pytest.fixture
def spinner():
    """Run a child that uses 0.2 s of CPU and then waits."""
    with subprocess.Popen(
        [sys.executable, "-c", SPIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        yield child
        child.communicate()


def test_cpu_of_another_process_is_what_it_used(spinner):
    processes = Processes([spinner.pid])
    before = processes.clock()
    spinner.stdout.readline()
    assert 0.1 < processes.since(before) < 1.0


def test_cpu_of_this_process_has_no_coarse_ticks():
    first, steps = cpu_seconds(os.getpid()), set()
    while len(steps) < 3:
        steps.add(cpu_seconds(os.getpid()) - first)
    assert 0 < max(steps) < 0.01


def test_descendants_are_found_from_the_top(spinner):
    assert spinner.pid in descendants(os.getpid())


def test_a_process_that_ended_while_it_was_measured_is_an_error():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    processes = Processes([child.pid])
    before = processes.clock()
    child.communicate()
    with pytest.raises(ServerDied):
        processes.since(before)


def test_memory_of_the_largest_process_is_given_in_bytes(spinner):
    spinner.stdout.readline()
    memory = Processes([spinner.pid]).memory()
    assert 1 << 20 < memory.anonymous < memory.peak < 1 << 30


def test_processes_are_ended_with_those_below_them():
    code = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE); print(1, flush=True); time.sleep(60)"  # noqa: E501
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as top:
        top.stdout.readline()
        everyone = descendants(top.pid)
        Processes([top.pid]).end()
        top.wait()
        until = time.monotonic() + 5
        while any(os.path.exists(f"/proc/{pid}/exe") for pid in everyone):
            assert time.monotonic() < until
            time.sleep(0.01)
    assert len(everyone) == 2


def test_threads_are_pinned_to_the_cores_that_were_named(spinner):
    core = min(os.sched_getaffinity(0))
    Processes([spinner.pid]).pin([core])
    assert os.sched_getaffinity(spinner.pid) == {core}
