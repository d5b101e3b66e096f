"""Signatures: who made a request, and whether it came as it was made.

``verify`` takes a request apart by the kind of its signature (``v4``, ``v2``), ``payload`` wraps
its body so that reading proves what was signed of it, ``chunks`` decodes aws-chunked bodies, and
``credentials`` knows the secrets. Nothing here knows what the request asks for.
"""
