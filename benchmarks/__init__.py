"""What the daemon costs, measured against what the machine itself can do in the same run.

``python -m benchmarks`` starts the daemon on a scratch folder, loads it, and prints one table; with
``--json FILE`` the same rows are written for machines. A figure that has a target is a ratio to a
baseline measured in the same run (a bare WSGI app, a socket loop, MD5 alone, the bare system
calls), so it means the same on a slow machine as on a fast one.

=====================  ===========================================================================
``__main__``           the command line
``plan``               what to measure: sizes, rounds, cores; quick or whole
``bench``              the scratch folder, the daemons on it, the baselines: made once, taken down
``daemon``             one server under test: ours, or a named endpoint
``volume``             a fresh file system for the run
``processes``          CPU seconds, memory and cores of a server's processes, from /proc
``baseline``           the programs compared with; each runs in a process of its own
``signing``            Signature V4 beforehand, so that the client costs little while it loads
``loop``               the client: a closed loop over keep-alive sockets
``exchange``           one request and its whole answer, for setting up and for single pages
``figures``            medians and percentiles
``targets`` ``table``  what is to be reached; rows, verdicts, the table, the JSON file
``small``              (a) 4 KiB objects, per operation, durability and number of cores
``durable``            (a) durable PUTs against a bare loop of the same system calls
``large``              (b) 1 GiB GET and PUT
``memory``             (c) peak memory of a worker
``listing`` ``trees``  (d) pages of flat buckets and of a deep tree, and how these are made
``multipart``          (e) uploads in parts: completing, sending, reading
``sparse``             an upload of mostly hollow parts, for ``multipart``
``profiling``          ``--profile OP``: where the CPU of one operation goes
``profiled``           the daemon with a profiler inside, for ``profiling``
=====================  ===========================================================================

Nothing here imports the package under test, but ``sparse`` in a process of its own: it is measured
from outside, over its sockets, so the same command measures any other S3 endpoint (``--endpoint``).
"""
