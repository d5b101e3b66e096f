"""``s3filters serve``: runs the pipeline of an ini under the server that the ini names.

Flags stand above the ini and the ini above the defaults. A first start makes what is missing, the
root folder and a pair of keys, and says so once. Nothing is made before all that could keep it from
serving was looked at: the addresses are taken and the pipeline is loaded by then.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from s3filters import __version__
from s3filters import options as ini_options
from s3filters.commands import keys, logs, places
from s3filters.commands.configuration import Configuration
from s3filters.commands.errors import CommandError, UsageError
from s3filters.commands.ini import shared
from s3filters.server import runner
from s3filters.server.listeners import ListenError
from s3filters.server.options import Options
from s3filters.sign import accountfile

# Flag -> (the option that it sets, what its value looks like). The help text is the option's own.
SHARED_FLAGS = {
    "root": ("root", "DIR"),
    "region": ("region", "NAME"),
    "durability": ("durability", "full|data|none"),
    "credentials": ("credentials", "FILE"),
    "accounts": ("accounts", "FILE"),
    "access-log": ("access_log", "-|FILE|off"),
}
SERVER_FLAGS = {
    "listen": ("listen", "HOST:PORT|unix:PATH"),
    "workers": ("workers", "N"),
    "certificate": ("certificate", "FILE"),
    "key": ("key", "FILE"),
}
PATHS = ("root", "credentials", "accounts", "certificate", "key")


def declare(commands: Any) -> None:
    """Add ``s3filters serve``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "serve",
        help="serve a folder, or what an ini says, until Ctrl-C or SIGTERM",
        description="Serve S3. Flags stand above the ini, the ini above the defaults.",
        epilog="A pair of keys in S3_ACCESS_KEY and S3_SECRET_KEY, or in AWS_ACCESS_KEY_ID and"
        " AWS_SECRET_ACCESS_KEY, is valid beside those of the credentials file."
        " SIGHUP reads the ini again without dropping a request.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--conf", type=Path, metavar="INI", help="The ini to serve; see: s3filters ini."
    )
    _add_flags(parser, SHARED_FLAGS, shared())
    _add_flags(parser, SERVER_FLAGS, {field.name: field for field in fields(Options)})
    logs.declare(parser)
    parser.set_defaults(run=run)


def _add_flags(
    parser: argparse.ArgumentParser,
    flags: Mapping[str, tuple[str, str]],
    known: Mapping[str, Field[Any]],
) -> None:
    for flag, (name, metavar) in flags.items():
        about = known[name].metadata
        parser.add_argument(
            f"--{flag}",
            type=_checked(about["parse"]),
            metavar=metavar,
            help=about["doc"].replace("%", "%%"),
        )


def _checked(parse: Callable[[str], Any]) -> Callable[[str], str]:
    """Return an argparse type that keeps the text, once the option's own parser has taken it."""

    def check(value: str) -> str:
        try:
            parse(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{value!r}: {error}") from error
        return value

    return check


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop; return 0 after an orderly end."""
    logs.start(arguments.log_level)
    configuration = Configuration(arguments.conf, _given(arguments, SHARED_FLAGS))
    configuration.check_default()
    server = configuration.server()
    flags = _given(arguments, SERVER_FLAGS)
    ours = server.object is runner.server_runner
    if flags and not ours:
        raise UsageError(
            f"--{next(iter(flags))} is for our own server, and {configuration.path} names another;"
            " set it in its [server:main]"
        )
    options = _server_options(server, flags) if ours else None
    _check(configuration)
    if options is None:
        app, _ = _prepare(configuration)
        server.create()(app)
        return 0
    return _serve(configuration, options)


def _check(configuration: Configuration) -> None:
    """Raise CommandError for files that cannot be used; make nothing."""
    root = Path(configuration.value("root"))
    where = places.of_configuration(configuration)
    credentials = Path(where.credentials).expanduser()
    refuse_visible("credentials", credentials, root)
    refuse_visible("accounts", Path(where.accounts).expanduser(), root)
    if configuration.uses("sigauth"):
        keys.check(credentials, to_be_made=root)
        with places.refusals(where):
            accountfile.read(where.accounts)


def _prepare(configuration: Configuration) -> tuple[Any, keys.Signer | None]:
    """Make what a first start lacks; return the app and who may sign, None when nobody has to."""
    signer = None
    with root_made(Path(configuration.value("root"))):
        app = configuration.app()  # what is wrong in the ini is said here, once and in one line
        if configuration.uses("sigauth"):
            signer = keys.provide(places.of_configuration(configuration))
    return app, signer


def _server_options(server: Any, flags: Mapping[str, str]) -> Options:
    try:
        return ini_options.read(
            Options, runner.SECTION, server.global_conf, {**server.local_conf, **flags}
        )
    except ini_options.OptionError as error:
        raise UsageError(str(error)) from error


def _serve(configuration: Configuration, options: Options) -> int:
    signer = None

    def prepare() -> None:
        nonlocal signer
        _, signer = _prepare(configuration)  # not the app: each worker loads its own

    def load() -> Any:
        try:
            return configuration.app()
        except CommandError as error:  # after SIGHUP: a worker says it, and the old ones stay
            raise ini_options.OptionError(str(error)) from error

    def say_ready(endpoints: list[str]) -> None:
        print(_welcome(configuration, endpoints, signer), flush=True)

    try:
        return runner.serve(load, options, on_bound=prepare, on_ready=say_ready)
    except ListenError as error:
        raise CommandError(str(error)) from error


def _welcome(configuration: Configuration, endpoints: list[str], signer: keys.Signer | None) -> str:
    """Return what a person wants to read once all is ready."""
    root = Path(configuration.value("root")).resolve()
    lines = [f"s3filters {__version__} serves {root} at {', '.join(endpoints)}"]
    url = next((e for e in endpoints if not e.startswith("unix:")), "")
    if url and signer is not None:
        url = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
        lines += [
            f"Try, where SECRET {signer.secret_words}:",
            f"  export AWS_ENDPOINT_URL={url} AWS_REGION={configuration.value('region')}"
            f" AWS_ACCESS_KEY_ID={signer.access_key} AWS_SECRET_ACCESS_KEY=SECRET",
            "  aws s3 mb s3://demo && aws s3 cp README.rst s3://demo/",
        ]
    return "\n".join([*lines, "Ctrl-C stops it."])


def refuse_visible(what: str, path: Path, root: Path) -> None:
    """Raise UsageError when a file of secrets would lie in a bucket, an object like others."""
    folder = path.resolve().parent
    if folder != root.resolve() and folder.is_relative_to(root.resolve()):
        raise UsageError(f"{what} {path}: in a bucket of {root} everybody could read it")


def _given(arguments: argparse.Namespace, flags: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Return the flags that were given, by option; paths made absolute, as a daemon may move."""
    values = {name: getattr(arguments, flag.replace("-", "_")) for flag, (name, _) in flags.items()}
    return {
        name: os.path.abspath(os.path.expanduser(value)) if name in PATHS else value
        for name, value in values.items()
        if value is not None
    }


@contextmanager
def root_made(root: Path) -> Iterator[None]:
    """Have a root folder, which stays when the block succeeds; what was there stays anyway.

    Raise CommandError when it cannot be used.
    """
    missing = [folder for folder in (root, *root.parents) if not os.path.lexists(folder)]
    try:
        _make(root)
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):  # it could not be made, or something is in it
                folder.rmdir()
        raise
    if missing:
        print(f"Made the root folder {root}", flush=True)


def _make(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise CommandError(f"root {root}: this is not a folder") from error
    except OSError as error:
        raise CommandError(f"root {root}: {error.strerror}") from error
