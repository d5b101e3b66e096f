"""The command line: ``python -m benchmarks``. One table on standard output, progress on the other.

Ends by itself, ends what it started (by process id) and deletes what it made, also when it is
interrupted.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks import (
    access,
    cold,
    durable,
    large,
    listing,
    memory,
    multipart,
    profiling,
    small,
    table,
    volume,
)
from benchmarks.bench import AS_IT_RUNS, Bench, say
from benchmarks.daemon import Scratch, Subject
from benchmarks.plan import DURABILITIES, SECTIONS, Plan
from benchmarks.processes import Processes
from benchmarks.signing import Endpoint
from benchmarks.table import Row

MEASURES: dict[str, tuple[Callable[[Bench], Iterator[Row]], ...]] = {
    "a": (small.run, durable.run),
    "b": (large.run,),
    "c": (memory.run,),
    "d": (listing.run,),
    "e": (multipart.run,),
    "f": (access.run,),
    "g": (cold.run,),
}


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    words = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    words.add_argument("--only", default=",".join(SECTIONS), type=listed(SECTIONS),
                       metavar="a,b,c,d,e,f,g", help="sections to measure")  # fmt: skip
    words.add_argument("--quick", action="store_true", help="less of everything: minutes in all")
    words.add_argument("--json", type=Path, metavar="FILE", help="write the rows there as well")
    words.add_argument("--durability", default=",".join(DURABILITIES), type=listed(DURABILITIES),
                       metavar="none,data,full", help="of PUT, in section a")  # fmt: skip
    words.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()),
                       help="where to make the scratch folder; its disk is measured")  # fmt: skip
    words.add_argument("--file-system", choices=volume.MAKE,
                       help="make a new one in a file there, and use that; needs root")  # fmt: skip
    words.add_argument("--keys", type=counts, metavar="N,N", help="sizes of the flat buckets")
    words.add_argument("--rounds", type=int, metavar="N", help="rounds of which to take the median")
    words.add_argument("--profile", choices=profiling.OPERATIONS, metavar="OP",
                       help=f"no table, but where the CPU of one operation goes; one of "
                            f"{', '.join(profiling.OPERATIONS)}")  # fmt: skip
    words.add_argument("--with", dest="tool", choices=profiling.TOOLS, default="sample",
                       help="the profiler")  # fmt: skip
    other = words.add_argument_group("another server, as it runs, instead of ours")
    other.add_argument("--endpoint", metavar="http://HOST:PORT")
    other.add_argument("--access-key", default="")
    other.add_argument("--secret-key", default="")
    other.add_argument("--region", default="us-east-1")
    other.add_argument("--pid", type=counts, metavar="PID,PID", help="its topmost processes")
    other.add_argument("--tree", type=Path, help="folder of its buckets, when they are folders")
    return words


def listed(choices: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """Return the parser of a comma list of some of the choices."""

    def parse(text: str) -> tuple[str, ...]:
        chosen = tuple(word.strip() for word in text.split(","))
        for word in chosen:
            if word not in choices:
                raise argparse.ArgumentTypeError(f"{word!r} is none of {', '.join(choices)}")
        return chosen

    return parse


def counts(text: str) -> tuple[int, ...]:
    """Parse a comma list of whole numbers."""
    return tuple(int(word) for word in text.split(","))


def plan_of(options: argparse.Namespace) -> Plan:
    """Return the amounts that the options ask for."""
    make = Plan.short if options.quick else Plan
    plan = make(options.only, options.durability)
    if options.keys:
        plan = replace(plan, flat=options.keys)
    return replace(plan, rounds=options.rounds) if options.rounds else plan


def other_of(options: argparse.Namespace) -> Subject | None:
    """Return the server named by ``--endpoint``, if there is one."""
    if not options.endpoint:
        return None
    url = urlsplit(options.endpoint)
    if url.scheme != "http" or not url.hostname or not options.pid:
        raise SystemExit("--endpoint takes http://HOST:PORT, and --pid the server's processes")
    endpoint = Endpoint(
        url.hostname, url.port or 80, options.access_key, options.secret_key, options.region
    )
    return Subject(endpoint, Processes(options.pid), options.tree, AS_IT_RUNS)


def about(bench: Bench, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return what was run and where, for the JSON file: nothing that names the machine."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    plan = {name: value for name, value in asdict(bench.plan).items() if name != "cores"}
    return {
        "at": now,
        "server": options.endpoint or "s3filters",
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cores": len(bench.plan.cores.every),
        "file_system": volume.describe(folder),
        "load_average": os.getloadavg()[0],  # afterwards: above 2, others used the machine too
        "plan": plan,
    }


def warn(bench: Bench, folder: Path) -> None:
    """Say what will make the figures noisy or wrong."""
    load, cores = os.getloadavg()[0], len(bench.plan.cores.every)
    if load > cores / 2:  # ratios survive that, latencies and speeds do not
        say(f"the load average is {load:.1f} on {cores} cores: figures will be noisy")
    if bench.scratch is not None and "without" in volume.describe(folder):
        say(
            "ext4 without a journal: after deletes, PUT looks dearer than it is; --file-system ext4"
        )


def measure(bench: Bench) -> list[Row]:
    """Run the sections that the plan names."""
    try:
        return [
            row
            for section in bench.plan.sections
            for run in MEASURES[section]
            for row in run(bench)
        ]
    finally:
        bench.take_down()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure or profile, as the options say."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that contexts are left in order
    other = other_of(options)
    prefix = "s3filters-bench-"
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=options.folder) as name,
        volume.fresh(options.file_system, Path(name)) as folder,
    ):
        scratch = None if other else Scratch.make(folder)
        bench = Bench(plan_of(options), scratch, other)
        if options.profile:
            profiling.run(bench, options.profile, options.tool)
            return
        warn(bench, folder)
        rows = measure(bench)
        print(table.render(rows))
        if options.json:
            options.json.write_text(table.document(rows, about(bench, options, folder)))


if __name__ == "__main__":
    main()
