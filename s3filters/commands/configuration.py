"""What is served: an ini, the flags above it, and the defaults below it.

PasteDeploy does the composing. This module adds what it lacks: flags that stand above ``[DEFAULT]``
whatever characters they hold, a word for options that it would silently pass over, and every
mistake as one line.
"""

from __future__ import annotations

import configparser
import difflib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paste.deploy.loadwsgi import ConfigLoader

from s3filters.commands.errors import UsageError
from s3filters.commands.ini import DEFAULT_INI, shared
from s3filters.options import OptionError

LOG = logging.getLogger(__name__)

NEAR = 0.8  # likeness (difflib's ratio) from which another name is taken for a slip

# What PasteDeploy and the factories that it calls raise for what an ini says. LookupError: no such
# section or entry point; ImportError: no such distribution or module; TypeError: a foreign factory
# without such an option.
MISTAKES = (
    OptionError,
    configparser.Error,
    LookupError,
    ImportError,
    AttributeError,
    TypeError,
    ValueError,
    OSError,
)


class Configuration:
    """An ini and the flags above it; each use reads the file again, so that a reload sees changes.

    :param path: the ini, or None for the default pipeline
    :param flags: values of shared options as the ini would write them, by name
    """

    def __init__(self, path: Path | None, flags: Mapping[str, str]) -> None:
        self.path = DEFAULT_INI if path is None else path
        self._place = "" if path is None else f"{path}: "
        self._flags = dict(flags)

    def app(self) -> Any:
        """Make the pipeline. Raise UsageError for whatever is wrong in the ini."""
        with self._mistakes():
            return self._loader().get_app(global_conf=self._flags)

    def server(self) -> Any:
        """Return PasteDeploy's context of ``[server:main]``, with its factory in ``.object``."""
        with self._mistakes():
            return self._loader().server_context(global_conf=self._flags)

    def value(self, name: str) -> Any:
        """Return the value of a shared option. Raise UsageError when it cannot be read."""
        field = shared()[name]
        with self._mistakes():
            text = self._flags.get(name) or self._loader().parser.defaults().get(name)
            return field.default if text is None else field.metadata["parse"](text)

    def uses(self, name: str) -> bool:
        """Return whether a section of the ini uses the entry point of this name of ours."""
        return self.section(name) is not None

    def section(self, name: str) -> dict[str, str] | None:
        """Return the options of the section that uses this entry point of ours, None without."""
        with self._mistakes():
            parser = self._loader().parser
            written = self._written()
            for section in parser.sections():
                used = parser.get(section, "use", raw=True, fallback="").strip()
                if used == f"egg:s3filters#{name}":
                    own = [option for option in written[section] if option != "use"]
                    return {option: parser.get(section, option) for option in own}
        return None

    def check_default(self) -> None:
        """Raise UsageError for a name in ``[DEFAULT]`` that is nearly a shared option's.

        Warn of the others: other filters' options and variables of the ini stand there too.
        """
        names = shared()
        known = ", ".join(sorted(names))
        for name in self._written().get("DEFAULT", ()):
            near = difflib.get_close_matches(name.lower(), names, 1, NEAR)
            if name in names:
                continue
            if near:
                raise UsageError(f"{self._place}[DEFAULT] has no option {name}; is it {near[0]}?")
            LOG.warning("[DEFAULT] %s is no option that filters share; these are: %s", name, known)

    def _loader(self) -> ConfigLoader:
        written = self._written()
        self._refuse_shadowed(written)
        loader = ConfigLoader(str(self.path))
        # Defaults are interpolated where they stand, global_conf is not: a root may hold a "%".
        escaped = {name: value.replace("%", "%%") for name, value in self._flags.items()}
        loader.update_defaults(escaped)
        return loader

    def _written(self) -> dict[str, list[str]]:
        """Return section -> names that stand in it, ``[DEFAULT]`` as a section like the others."""
        parser = configparser.RawConfigParser(default_section="", interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        with self._mistakes(), self.path.open(encoding="utf-8") as file:
            parser.read_file(file)
        return {section: list(parser[section]) for section in parser.sections()}

    def _refuse_shadowed(self, written: Mapping[str, list[str]]) -> None:
        """PasteDeploy passes over an option of a section whose name stands in ``[DEFAULT]`` too."""
        above = {*self._flags, *written.get("DEFAULT", ())}
        for section, names in written.items():
            for name in names:
                if section != "DEFAULT" and name in above:
                    raise UsageError(
                        f"{self._place}[{section}] {name} belongs to [DEFAULT],"
                        " where all filters see it"
                    )

    @contextmanager
    def _mistakes(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            raise UsageError(f"{self.path}: not UTF-8 text") from error
        except MISTAKES as error:
            raise UsageError(self._one_line(error)) from error

    def _one_line(self, error: BaseException) -> str:
        """Return what is wrong, in a line that names the ini once, if the user gave one."""
        if isinstance(error, OSError) and error.strerror:
            return f"{error.filename or self.path}: {error.strerror}"
        words = " ".join(str(error.args[0] if isinstance(error, KeyError) else error).split())
        return words if str(self.path) in words else self._place + words
