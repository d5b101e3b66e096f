"""The real S3 clients as data: what each is called, needs, and says to move an object.

A client is a ``Program``, whose verbs are command lines, or a ``Library``, whose verbs are asked of
a small driver in ``drivers/`` that runs under the library's own interpreter. Both have one face,
``Client``, so a scenario is written once. ``{bucket}``, ``{key}``, ``{target}`` and ``{path}`` in a
command line stand for the call's arguments, ``{url}``, ``{host}`` and ``{ca}`` for the daemon's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.daemon import Daemon
from tests.raw import ACCESS_KEY, REGION, SECRET_KEY

HERE = Path(__file__).resolve().parent
FOLDER = Path(os.environ.get("S3FILTERS_CLIENTS") or HERE.parent.parent / ".cache" / "clients")
LIMIT_S = 100
Listing = dict[str, int]  # key -> size


class ClientError(AssertionError):
    """The client said no; the message holds all that it said."""


class Absent(Exception):
    """The client is not installed here; the message says what was looked for."""


@dataclass(frozen=True)
class Program:
    """A client that is a command."""

    name: str
    where: tuple[str, ...]  # a file in FOLDER, or absolute, or a word on PATH
    verbs: Mapping[str, tuple[str, ...]]
    listing: Callable[[str], Iterator[tuple[str, int]]]
    options: tuple[str, ...] = ()  # before every verb
    environ: Mapping[str, str] = field(default_factory=dict)
    config: str = ""  # text of a file that {config} names
    tls_options: tuple[str, ...] = ()  # before every verb over https
    encoded: bool = False  # keys go percent-encoded into the command line

    def dial(self, daemon: Daemon, folder: Path) -> Client:
        """Make the client ready for a daemon. Raise Absent."""
        return _Commands(self, _find(self.where), daemon, folder)


@dataclass(frozen=True)
class Library:
    """A client that is a library; its driver reads one JSON request a line and answers likewise."""

    name: str
    interpreter: str  # as Program.where
    driver: str
    needs: str  # a path in FOLDER that the library fills
    verbs: frozenset[str] = frozenset(
        {"make", "upload", "download", "list", "copy", "delete", "drop"}
    )

    def dial(self, daemon: Daemon, folder: Path) -> Client:
        """Make the client ready for a daemon. Raise Absent."""
        if not (FOLDER / self.needs).exists():
            raise Absent(f"{self.name}: no {FOLDER / self.needs}; run tests/clients/setup.sh")
        return _Driven(self, _find((self.interpreter,)), daemon, folder)


class Client:
    """What every client can be asked; one that lacks a verb says so by ``has``."""

    def has(self, verb: str) -> bool:
        """Whether this client offers the verb."""
        raise NotImplementedError

    def ask(self, verb: str, **words: str) -> Any:
        """Carry out a verb; raise ClientError when the client reports failure."""
        raise NotImplementedError

    def run(self, *words: str) -> str:
        """Run a client that is a command with these words; return what it said. As ``ask``."""
        raise NotImplementedError

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """Begin what ``run`` does, in an environment with these variables beside."""
        raise NotImplementedError

    def close(self) -> None:
        """End what runs."""

    def make(self, bucket: str) -> None:
        """Make a bucket."""
        self.ask("make", bucket=bucket)

    def drop(self, bucket: str) -> None:
        """Delete an empty bucket."""
        self.ask("drop", bucket=bucket)

    def upload(self, path: Path, bucket: str, key: str) -> None:
        """Store a file as an object."""
        self.ask("upload", path=str(path), bucket=bucket, key=key)

    def download(self, bucket: str, key: str, path: Path) -> None:
        """Store an object as a file."""
        self.ask("download", path=str(path), bucket=bucket, key=key)

    def copy(self, bucket: str, key: str, target: str) -> None:
        """Copy within a bucket, on the server."""
        self.ask("copy", bucket=bucket, key=key, target=target)

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object."""
        self.ask("delete", bucket=bucket, key=key)

    def list(self, bucket: str) -> Listing:
        """Every key of a bucket and its size."""
        return dict(self.ask("list", bucket=bucket))

    def sync(self, folder: Path, bucket: str, prefix: str) -> str:
        """Make a prefix equal to a folder; return what the client said."""
        return str(self.ask("sync", path=str(folder), bucket=bucket, key=prefix))

    def fetch(self, bucket: str, prefix: str, folder: Path) -> None:
        """Make a folder equal to a prefix."""
        self.ask("fetch", path=str(folder), bucket=bucket, key=prefix)


class _Commands(Client):
    def __init__(self, program: Program, found: str, daemon: Daemon, folder: Path) -> None:
        config = folder / f"{program.name}-{daemon.port}.config"
        self._words = {
            "url": daemon.url,
            "host": daemon.host,
            "ca": str(daemon.ca or ""),
            "config": str(config),
            "access": ACCESS_KEY,
            "secret": SECRET_KEY,
            "region": REGION,
            "tls": "True" if daemon.ca else "False",
        }
        config.write_text(program.config.format(**self._words))
        options = (*program.options, *(program.tls_options if daemon.ca else ()))
        self._start = [found, *(word.format(**self._words) for word in options)]
        self._environ = {
            **_environ(daemon, folder),
            **{name: value.format(**self._words) for name, value in program.environ.items()},
        }
        self._program = program

    def has(self, verb: str) -> bool:
        return verb in self._program.verbs

    def ask(self, verb: str, **words: str) -> Any:
        if self._program.encoded:
            words |= {
                n: urllib.parse.quote(v, safe="-_.~/") for n, v in words.items() if n != "path"
            }
        said = self.run(
            *(word.format(**self._words, **words) for word in self._program.verbs[verb])
        )
        return self._program.listing(said) if verb == "list" else said

    def run(self, *words: str) -> str:
        with self.start(*words) as process:
            out, errors = process.communicate(timeout=LIMIT_S)
        if process.returncode:
            raise ClientError(f"{words} ended {process.returncode}:\n{out[-2000:]}{errors[-2000:]}")
        return out

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._start, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self._environ, **environ},
        )


class _Driven(Client):
    def __init__(self, library: Library, found: str, daemon: Daemon, folder: Path) -> None:
        self._library = library
        self._errors = (folder / f"{library.name}-{daemon.port}.errors").open("w+")
        self._process = subprocess.Popen(
            [found, str(HERE / "drivers" / library.driver)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**_environ(daemon, folder), "NODE_PATH": str(FOLDER / "node" / "node_modules")},
        )

    def has(self, verb: str) -> bool:
        return verb in self._library.verbs

    def ask(self, verb: str, **words: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"verb": verb, **words}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise ClientError(f"the driver died:\n{self._errors.read()[-3000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise ClientError(f"{verb} {words}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        self._process.communicate(timeout=20)
        self._errors.close()


def _find(places: tuple[str, ...]) -> str:
    for place in places:
        inside = FOLDER / place
        if "/" in place and inside.is_file():  # an absolute place stays absolute
            return str(inside)
        if "/" not in place and (found := shutil.which(place)):
            return found
    raise Absent(f"none of {', '.join(places)}; run tests/clients/setup.sh")


def _environ(daemon: Daemon, folder: Path) -> dict[str, str]:
    """The words that every client may read, and a home where no configuration of the user's is."""
    trust = {
        name: str(daemon.ca)
        for name in ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
        if daemon.ca
    }
    return {
        **{name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ},
        "LC_ALL": "C.UTF-8",
        "HOME": str(folder),
        "ENDPOINT": daemon.url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        **trust,
    }


def _json_pairs(text: str) -> Iterator[tuple[str, int]]:
    return ((key, int(size)) for key, size in json.loads(text or "null") or [])


def _json_objects(text: str) -> Iterator[tuple[str, int]]:
    return ((row["Path"], int(row["Size"])) for row in json.loads(text))


def _json_lines(text: str) -> Iterator[tuple[str, int]]:
    rows = (json.loads(line) for line in text.splitlines())
    return ((row["key"].split("/", 3)[3], int(row.get("size", 0))) for row in rows)


def _columns(text: str) -> Iterator[tuple[str, int]]:
    """Lines such as ``2026-11-21 09:00   12  s3://bucket/key``."""
    rows = re.findall(r"^\S+ \S+ +(\d+) +s3://[^/]+/(.*)$", text, re.MULTILINE)
    return ((key, int(size)) for size, key in rows)


def _xml(text: str) -> Iterator[tuple[str, int]]:
    space = "{http://s3.amazonaws.com/doc/2006-03-01/}"
    for row in ElementTree.fromstring(text).iter(f"{space}Contents"):
        key, size = row.findtext(f"{space}Key"), row.findtext(f"{space}Size")
        yield urllib.parse.unquote_plus(key or ""), int(size or -1)


AWS = {
    "make": ("s3", "mb", "s3://{bucket}"),
    "drop": ("s3", "rb", "s3://{bucket}"),
    "upload": ("s3", "cp", "--no-progress", "{path}", "s3://{bucket}/{key}"),
    "download": ("s3", "cp", "--no-progress", "s3://{bucket}/{key}", "{path}"),
    "copy": ("s3", "cp", "--no-progress", "s3://{bucket}/{key}", "s3://{bucket}/{target}"),
    "delete": ("s3", "rm", "s3://{bucket}/{key}"),
    "list": (
        *("s3api", "list-objects-v2", "--bucket", "{bucket}"),
        *("--output", "json", "--query", "Contents[].[Key,Size]"),
    ),
    "sync": ("s3", "sync", "--no-progress", "--delete", "{path}", "s3://{bucket}/{key}"),
    "fetch": ("s3", "sync", "--no-progress", "s3://{bucket}/{key}", "{path}"),
}
AWS_CONFIG = "[default]\ns3 =\n  addressing_style = path\n"


def _aws(name: str, where: str, verbs: Mapping[str, tuple[str, ...]]) -> Program:
    return Program(
        name=name,
        where=(where,),
        verbs=verbs,
        listing=_json_pairs,
        options=("--endpoint-url", "{url}"),
        environ={"AWS_CONFIG_FILE": "{config}", "AWS_PAGER": ""},
        config=AWS_CONFIG,
    )


S5CMD = Program(
    name="s5cmd",
    where=("s5cmd/bin/s5cmd",),
    options=("--endpoint-url", "{url}", "--retry-count", "0"),
    verbs={
        "make": ("mb", "s3://{bucket}"),
        "drop": ("rb", "s3://{bucket}"),
        "upload": ("cp", "--raw", "--part-size", "5", "{path}", "s3://{bucket}/{key}"),
        "download": ("cp", "--raw", "--part-size", "5", "s3://{bucket}/{key}", "{path}"),
        "copy": ("cp", "--raw", "s3://{bucket}/{key}", "s3://{bucket}/{target}"),
        "delete": ("rm", "--raw", "s3://{bucket}/{key}"),
        "list": ("--json", "ls", "s3://{bucket}/*"),
        "sync": ("sync", "--delete", "{path}/", "s3://{bucket}/{key}/"),
        "fetch": ("sync", "s3://{bucket}/{key}/*", "{path}/"),
    },
    listing=_json_lines,
)
S3CMD = Program(
    name="s3cmd",
    where=("s3cmd",),
    options=("--config", "{config}", "--no-progress"),
    config=(
        "[default]\naccess_key = {access}\nsecret_key = {secret}\nhost_base = {host}\n"
        "host_bucket = {host}\nuse_https = {tls}\nca_certs_file = {ca}\n"
        "bucket_location = {region}\nmultipart_chunk_size_mb = 5\n"
        "multipart_copy_chunk_size_mb = 5\n"
    ),
    verbs={
        "make": ("mb", "s3://{bucket}"),
        "drop": ("rb", "s3://{bucket}"),
        "upload": ("put", "{path}", "s3://{bucket}/{key}"),
        "download": ("get", "--force", "s3://{bucket}/{key}", "{path}"),
        "copy": ("cp", "s3://{bucket}/{key}", "s3://{bucket}/{target}"),
        "delete": ("del", "s3://{bucket}/{key}"),
        "list": ("ls", "--recursive", "s3://{bucket}/"),
        "sync": ("sync", "--delete-removed", "{path}/", "s3://{bucket}/{key}/"),
        "fetch": ("sync", "s3://{bucket}/{key}/", "{path}/"),
    },
    listing=_columns,
)
RCLONE = Program(
    name="rclone",
    where=("rclone",),
    options=("--config", "{config}", "--retries", "1", "--low-level-retries", "1"),
    tls_options=("--ca-cert", "{ca}"),
    environ={"AWS_CA_BUNDLE": ""},  # its S3 library cannot take this one beside --ca-cert
    config=(
        "[r]\ntype = s3\nprovider = Other\naccess_key_id = {access}\nsecret_access_key = {secret}\n"
        "endpoint = {url}\nregion = {region}\nforce_path_style = true\n"
        "upload_cutoff = 8M\nchunk_size = 5M\nupload_concurrency = 4\ncopy_cutoff = 8M\n"
    ),
    verbs={
        "make": ("mkdir", "r:{bucket}"),
        "drop": ("rmdir", "r:{bucket}"),
        "upload": ("copyto", "{path}", "r:{bucket}/{key}"),
        "download": ("copyto", "r:{bucket}/{key}", "{path}"),
        "copy": ("copyto", "r:{bucket}/{key}", "r:{bucket}/{target}"),
        "delete": ("deletefile", "r:{bucket}/{key}"),
        "list": ("lsjson", "--recursive", "--files-only", "r:{bucket}"),
        "sync": ("sync", "--verbose", "{path}", "r:{bucket}/{key}"),
        "fetch": ("sync", "r:{bucket}/{key}", "{path}"),
    },
    listing=_json_objects,
)
CURL = Program(
    name="curl",
    where=("curl",),
    options=(
        *("--silent", "--show-error", "--fail-with-body", "--path-as-is"),
        *("--aws-sigv4", "aws:amz:{region}:s3", "--user", "{access}:{secret}"),
        *("--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"),  # curl before 8 does not send it
    ),
    tls_options=("--cacert", "{ca}"),
    encoded=True,
    verbs={
        "make": ("--request", "PUT", "{url}/{bucket}"),
        "drop": ("--request", "DELETE", "{url}/{bucket}"),
        "upload": ("--upload-file", "{path}", "{url}/{bucket}/{key}"),
        "download": ("--output", "{path}", "{url}/{bucket}/{key}"),
        "copy": (
            *("--request", "PUT", "--header", "x-amz-copy-source: /{bucket}/{key}"),
            "{url}/{bucket}/{target}",
        ),
        "delete": ("--request", "DELETE", "{url}/{bucket}/{key}"),
        "list": ("{url}/{bucket}?encoding-type=url&list-type=2",),
    },
    listing=_xml,
)
CLIENTS: tuple[Program | Library, ...] = (
    Library("boto3", "boto3/bin/python", "with_boto3.py", "boto3/.made-of"),
    Library("boto3-1.26", "boto3-1.26/bin/python", "with_boto3.py", "boto3-1.26/.made-of"),
    Library("boto3-crt", "boto3-crt/bin/python", "with_crt.py", "boto3-crt/.made-of"),
    _aws("aws-1", "awscli/bin/aws", AWS),
    _aws("aws-2", "/usr/bin/aws", AWS),
    S5CMD,
    S3CMD,
    RCLONE,
    replace(RCLONE, name="rclone-newest", where=("rclone/bin/rclone",)),
    Library("minio-py", "minio/bin/python", "with_minio.py", "minio/.made-of"),
    Library("pyarrow", "pyarrow/bin/python", "with_pyarrow.py", "pyarrow/.made-of"),
    Library("aws-sdk-js", "node", "with_sdk.cjs", "node/node_modules/@aws-sdk/lib-storage"),
    CURL,
)
BY_NAME = {client.name: client for client in CLIENTS}
