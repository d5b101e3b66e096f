"""The daemon on a disk that takes its time: ``python -m tests.functional.sluggish serve ...``.

Completing an upload takes ``SLUGGISH_S`` seconds, then fails when the key ends in ``fails`` or
``breaks``; answers are late after 0.2 s, and show a sign of life each 0.1 s.
"""

import os
import sys
import time

from s3filters.backends.fs import slowly
from s3filters.commands.main import main
from s3filters.store import Store, errors


def complete(self, name, *args, **options):
    time.sleep(float(os.environ["SLUGGISH_S"]))
    if name[1].endswith("fails"):
        raise errors.InsufficientStorage
    if name[1].endswith("breaks"):
        raise ZeroDivisionError
    return at_once(self, name, *args, **options)


at_once = Store.complete

if __name__ == "__main__":
    Store.complete = complete
    slowly.QUICK_S, slowly.BLANK_S = 0.2, 0.1
    sys.exit(main())
