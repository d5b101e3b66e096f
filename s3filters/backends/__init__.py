"""Backends: what answers S3 operations, one package each, behind one protocol (``base``)."""
