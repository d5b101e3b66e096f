"""``--profile OP``: where the CPU of one operation goes, in one worker of our daemon.

``sample`` looks at the stack whenever so much CPU time has passed: no overhead worth the name, and
green threads do not confuse it; what real threads spend falls on ``Hub.wait``. ``cprofile`` counts
every call, which makes short functions look dearer than they are and mixes up what is inclusive
where green threads switch; its call counts are exact. ``perf`` sees the kernel and the C code below
Python, and nothing of Python.

Objects are made, and looked at once, before the profiler begins; the load is that of section (a),
on one core.
"""

from __future__ import annotations

import json
import os
import pstats
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks import daemon, large, small
from benchmarks.bench import Bench, say
from benchmarks.daemon import Subject
from benchmarks.loop import Outcome, load

OPERATIONS = ("HEAD", "GET", "PUT", "PUT-again", "DELETE", "LIST", "GET-large", "PUT-large")
TOOLS = ("sample", "cprofile", "perf")
COMMAND = (sys.executable, "-m", "benchmarks.profiled")
TOP = 45  # lines to print
WRITTEN_WITHIN = 20.0  # seconds in which a worker writes its profile down


def run(bench: Bench, operation: str, tool: str) -> None:
    """Profile the operation and print what was found."""
    if bench.scratch is None:
        raise SystemExit("--profile starts our own daemon; it takes no --endpoint")
    folder = bench.scratch.tree.parent / "profiles"
    folder.mkdir()
    command = daemon.COMMAND if tool == "perf" else COMMAND
    environment = {"BENCHMARKS_PROFILE": f"{tool}:{folder}"}
    durability = bench.plan.durabilities[0]
    with daemon.running(bench.scratch, 1, durability, command, environment) as subject:
        prepare, work = _steps(bench, subject, operation)
        with bench.apart([subject.processes]):
            prepare()
            say(f"profiling {operation}, durability {durability}, with {tool}")
            before = subject.processes.clock()
            if tool == "perf":
                outcome = _with_perf(subject, folder, work)
            else:
                outcome = _with_signals(subject, work)
            cpu = subject.processes.since(before) / len(outcome.latencies)
            if tool != "perf":
                _wait_for_profiles(subject, folder)
    print(f"{operation}: {cpu * 1e6:,.0f} us of CPU a request while profiled")
    {"sample": _show_samples, "cprofile": _show_calls, "perf": _show_perf}[tool](folder)


def _steps(
    bench: Bench, subject: Subject, operation: str
) -> tuple[Callable[[], object], Callable[[], Outcome]]:
    """Return what is to be done before the profiler begins, and the load while it runs."""
    if operation.endswith("-large"):
        return _large_steps(bench, subject, operation)
    endpoint, connections = subject.endpoint, bench.plan.connections
    count = bench.plan.requests * (4 if bench.plan.quick else 10)
    objects = count if operation in ("PUT", "DELETE") else bench.plan.requests
    method = operation.partition("-")[0]

    def send(verb: str, times: int = 1) -> Outcome:
        return load(endpoint, small.requests(endpoint, verb, objects) * times, connections)

    def prepare() -> None:
        load(endpoint, small.requests(endpoint, "PUT", 100), connections)
        load(endpoint, small.requests(endpoint, "DELETE", 100), connections)
        if operation != "PUT":
            send("PUT")
            send("HEAD")
        if operation == "LIST":
            small.listed(bench, subject)

    bench.bucket(subject, small.BUCKET)
    return prepare, lambda: send(method, count // objects)


def _large_steps(
    bench: Bench, subject: Subject, operation: str
) -> tuple[Callable[[], object], Callable[[], Outcome]]:
    size = bench.plan.large
    bench.bucket(subject, large.BUCKET)
    transfer = large.put if operation.startswith("PUT") else large.get

    def work() -> Outcome:
        started = time.perf_counter()
        transfer(subject, size)
        elapsed = time.perf_counter() - started
        return Outcome([elapsed], elapsed)

    return lambda: large.put(subject, size), work


def _with_signals(subject: Subject, work: Callable[[], Outcome]) -> Outcome:
    """Let the profilers inside the workers begin, work, and let them write."""
    _toggle(subject)
    time.sleep(0.2)  # a handler runs when the worker next wakes up
    outcome = work()
    _toggle(subject)
    return outcome


def _toggle(subject: Subject) -> None:
    for pid in subject.processes.pids():
        os.kill(pid, signal.SIGUSR2)


def _wait_for_profiles(subject: Subject, folder: Path) -> None:
    until = time.monotonic() + WRITTEN_WITHIN
    names = {f"{pid}.profile" for pid in subject.processes.pids()}
    while time.monotonic() < until and names - {path.name for path in folder.iterdir()}:
        time.sleep(0.05)


def _with_perf(subject: Subject, folder: Path, work: Callable[[], Outcome]) -> Outcome:
    pids = ",".join(map(str, subject.processes.pids()))
    words = ["perf", "record", "-q", "-F", "4000", "-g", "-p", pids, "-o", str(folder / "perf")]
    recorder = subprocess.Popen(words, stdin=subprocess.DEVNULL)
    time.sleep(1)
    try:
        return work()
    finally:
        recorder.send_signal(signal.SIGINT)
        recorder.wait(WRITTEN_WITHIN)


def _show_samples(folder: Path) -> None:
    """Print lines of code and functions by the share of samples that fell on them."""
    totals: dict[str, Counter[str]] = {"own": Counter(), "lines": Counter(), "inclusive": Counter()}
    for path in folder.glob("*.profile"):
        for kind, found in json.loads(path.read_text()).items():
            totals[kind].update(found)
    samples = sum(totals["own"].values())
    print(f"{samples} samples")
    for kind, counted in totals.items():
        print(f"\nshare of CPU by {kind}")
        for name, count in counted.most_common(TOP):
            print(f"  {count / samples:6.1%}  {name}")


def _show_calls(folder: Path) -> None:
    """Print the functions by their own time, then with what they call."""
    first, *rest = [str(path) for path in folder.glob("*.profile")]
    stats = pstats.Stats(first, *rest).strip_dirs()
    stats.sort_stats("tottime").print_stats(TOP)
    stats.sort_stats("cumtime").print_stats(TOP)


def _show_perf(folder: Path) -> None:
    """Print the symbols by their own time."""
    words = ["perf", "report", "--stdio", "-q", "--no-children", "-g", "none",
             "--percent-limit", "0.4", "-i", str(folder / "perf")]  # fmt: skip
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
