"""The language of S3, pure: no socket, no disk, no thread.

A request is found in the routing table (``table``, by the rows of ``operations``), becomes a
``call`` with a ``body`` that must prove itself (``proofs``), and is answered by a ``reply`` or an
error of ``errors``. The rest is one noun a module.
"""
