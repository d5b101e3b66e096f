"""Tier drivers: who is asked to bring an object's data back from tape, and to take them there.

A driver is a class with the few methods of ``base.Driver``, made by a factory that the entry point
group ``s3filters.tier`` names. It acts on files; of S3, and of when to ask, it knows nothing.
"""
