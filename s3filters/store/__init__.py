"""Bytes on disk. No S3 and no HTTP.

On disk everything is as Versity's gateway has it (``disk`` in the docs tells the whole):

* ``<root>/<bucket>/`` a bucket; owner and the like in extended attributes of the directory
* ``<root>/<bucket>/a/b`` the object ``a/b``, a plain file; its metadata in extended attributes
* ``<root>/<bucket>/d/`` the object ``d/`` if the directory has an ETag, else only a parent of
  others
* ``<root>/<bucket>/.sgwtmp/`` what no S3 name reaches: ``multipart/`` uploads, ``lock``,
  ``put.<random>`` files on their way

Modules, from names to verbs: ``errors``; ``paths`` (names), ``beneath`` (opening them),
``filesystem`` (what it can do); ``metadata``, ``recognizing``, ``describing``, ``boundaries`` and
``known`` (records); ``tree`` (the root that all share); ``locks``, ``parents``, ``place`` (how
names appear); ``objects``, ``buckets``, ``sweep``, ``walk`` (verbs); ``store`` (all verbs as one
class).
"""

from s3filters.store.store import Store

__all__ = ["Store"]
