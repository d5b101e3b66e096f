"""A directory whose names are asked for as a page asks."""

import os
import time

from s3filters.store.names import NameCache


class Folder:
    def __init__(self, path):
        self.path = path
        self.cache = NameCache()

    def make(self, *wanted):
        for name in wanted:
            raw = os.path.join(os.fsencode(self.path), os.fsencode(name))
            if raw.endswith(b"/"):
                os.mkdir(raw)
            else:
                os.mknod(raw, 0o100644)

    def now(self, start="", cache=None):
        """The names as a page would see them."""
        fds = []

        def open_fd():
            if not fds:
                fds.append(os.open(self.path, os.O_RDONLY | os.O_DIRECTORY))
            return fds[0]

        try:
            return list((cache or self.cache).since(open_fd, start))
        finally:
            for fd in fds:
                os.close(fd)

    def known(self):
        return self.cache.known(os.stat(self.path))

    def settle(self, cache=None):
        """Wait until the directory's ctime is past, and read it once more so that it is kept."""
        os.stat(self.path)
        time.sleep(0.045)
        self.now(cache=cache)
