"""Tier drivers: who is asked to bring objects' data back from tape, and to take them there.

A driver is one small class, ``base.Driver``, made by a factory that the entry point group
``s3filters.tier`` names. It is given batches of files, which ``asking`` gathers and tries again. Of
S3, and of when to ask, neither knows anything.
"""
