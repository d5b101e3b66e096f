"""A double of ScoutFS, mounted as a real file system, for machines without its kernel module.

It takes the kernel's own ioctl numbers and structs, keeps offline files offline (whoever reads one
waits), moves blocks, hides tagged attributes, and can lose all that was not committed. Programs on
top of it cannot tell; nothing of the package knows that it exists. It is a test tool: it promises
neither speed nor to keep anybody's data.

    python -m tests.scoutfs MOUNTPOINT      as root; Ctrl-C unmounts

Modules, from the wire to the file system: ``protocol`` (FUSE messages), ``device`` (the mount),
``caller`` (the process that asks); ``blocks``, ``inodes`` (what is offline), ``sequences`` (what
changed), ``waiting`` (who waits), ``faults``; ``names``, ``files``, ``attributes``, ``ioctls`` (the
answers); ``server`` (all of it), ``transactions`` (power cuts). ``calls`` and ``mounted`` are for
tests.

Not modelled: other nodes, quotas, the indexes of attributes, and the file system's number in
statfs(2), which is FUSE's.
"""
