"""(f) What deciding costs: CPU per signed GET of 4 KiB with the acl filter and without it.

Two daemons serve one tree, each on the same core, one with the default pipeline and one whose
pipeline lacks ``acl``. In each round they are sent the same requests, one after the other, and the
first changes from round to round; the figure is the median of the ratios. Whoever asks is an
account without any role, so that what is measured is a decision and not a privilege.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import daemon
from benchmarks.bench import Bench, say
from benchmarks.daemon import HERE, Scratch, Subject
from benchmarks.figures import median, median_ratio
from benchmarks.loop import load
from benchmarks.small import Sample, Setting, keys, requests, sample, with_speeds
from benchmarks.table import Row

INI = HERE / "s3filters" / "commands" / "s3filters.ini"
READER = "BENCHREADER"
OTHERS = [{"AWS": f"other{number}"} for number in range(3)]
ALLOWS = {"Effect": "Allow", "Action": "s3:GetObject"}


@dataclass(frozen=True, slots=True)
class Case:
    """A bucket, and what makes the reader one who may read there."""

    name: str
    bucket: str
    settings: Callable[[str], Mapping[str, str]]  # bucket -> value by attribute
    grants: bool = False  # each object has an ACL of its own


def _owned(bucket: str) -> dict[str, str]:
    return {"user.acl": _acl(READER), "user.ownership": "BucketOwnerEnforced"}


def _granted(bucket: str) -> dict[str, str]:
    return {"user.acl": _acl("owner"), "user.ownership": "ObjectWriter"}


def _ruled(bucket: str) -> dict[str, str]:
    """A policy of five statements, the last of which lets the reader in."""
    place = f"arn:aws:s3:::{bucket}/*"
    never = {"Bool": {"aws:SecureTransport": "true"}}
    near = {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "127.0.0.0/8"]}}
    statements = [
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Condition": never},
        *({**ALLOWS, "Principal": other} for other in OTHERS),
        {**ALLOWS, "Principal": {"AWS": READER}, "Condition": near},
    ]
    document = {
        "Version": "2012-10-17",
        "Statement": [{**s, "Resource": place} for s in statements],
    }
    settings = {"user.acl": _acl("owner"), "user.ownership": "BucketOwnerEnforced"}
    return {**settings, "user.policy": json.dumps(document)}


def _acl(owner: str, *readers: str) -> str:
    """An ACL as Versity's gateway stores it."""
    pairs = [(owner, "FULL_CONTROL"), *((reader, "READ") for reader in readers)]
    grants = [
        {"Permission": permission, "Access": who, "Type": "CanonicalUser"}
        for who, permission in pairs
    ]
    return json.dumps({"Owner": owner, "Grantees": grants})


CASES = (
    Case("its own bucket", "bench-owned", _owned),
    Case("policy of 5 statements", "bench-ruled", _ruled),
    Case("ACL of the object", "bench-granted", _granted, grants=True),
)


def run(bench: Bench) -> Iterator[Row]:
    """Measure each case on one core; of a server that is not ours nothing."""
    if bench.scratch is None:
        return
    say("(f) deciding, 4 KiB, 1 core")
    setting = Setting("1 core", bench.plan.connections, 1, judged=True)
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(dir=bench.scratch.tree.parent))
        )
        scratch = _with_reader(bench.scratch, folder)
        bare = folder / "bare.ini"
        bare.write_text(INI.read_text().replace(" acl ", " ", 1))
        subjects = [
            stack.enter_context(daemon.running(scratch, 1, "none", more=words))
            for words in ((), ("--conf", str(bare)))
        ]
        stack.enter_context(bench.apart([subject.processes for subject in subjects]))
        for case in CASES:
            _make(bench, subjects[0], case)
            yield _measure(bench, subjects, case, setting)


def _with_reader(scratch: Scratch, folder: Path) -> Scratch:
    """Return the scratch with another credentials file, in which there is a reader too."""
    credentials, accounts = folder / "credentials.jsonl", folder / "accounts.json"
    line = {"access_key": READER, "secret_key": "reader" * 4, "account": READER}
    line |= {"created_at": 1_700_000_000, "enabled": True}  # type: ignore[dict-item]
    reader = {"id": READER, "display_name": "reader", "role": "user"}
    texts = {
        credentials: scratch.credentials.read_text() + json.dumps(line) + "\n",
        accounts: json.dumps({"version": 1, "accounts": [reader]}),
    }
    for path, text in texts.items():
        path.touch(0o600)
        path.write_text(text)
    return replace(scratch, credentials=credentials)


def _make(bench: Bench, subject: Subject, case: Case) -> None:
    """Fill a bucket, and let the reader read it."""
    assert subject.tree is not None
    count = max(bench.plan.requests, 100)
    bucket = bench.bucket(
        subject,
        case.bucket,
        lambda: _fill(subject, requests(subject.endpoint, "PUT", count, case.bucket)),
    )
    folder = subject.tree / bucket
    for name, text in case.settings(bucket).items():
        os.setxattr(folder, name, text.encode())
    if case.grants:
        for key in keys(count):
            os.setxattr(folder / key, "user.s3filters.acl", _acl("owner", READER).encode())


def _fill(subject: Subject, messages: list[bytes]) -> None:
    load(subject.endpoint, messages, 8)


def _measure(bench: Bench, subjects: list[Subject], case: Case, setting: Setting) -> Row:
    taken: list[list[Sample]] = [[], []]
    for number in range(bench.plan.rounds + 1):
        count = bench.plan.requests if number else 100  # the first one warms up
        for which in (0, 1) if number % 2 else (1, 0):
            subject = subjects[which]
            asker = replace(subject.endpoint, access_key=READER, secret_key="reader" * 4)
            found = sample(subject, requests(asker, "GET", count, case.bucket), setting)
            if number:
                taken[which].append(found)
    ours, bare = ([one.cpu for one in samples] for samples in taken)
    detail: dict[str, Any] = {"without": median(bare)}
    row = Row("f", f"GET, {case.name}, 1 core", median_ratio(ours, bare), of="without acl",
              target="cpu.acl", detail=detail)  # fmt: skip
    return with_speeds(row, taken[0])
