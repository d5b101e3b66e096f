"""Tells others what became of restores, in S3's words: a file of lines, or a program behind HTTP.

``message`` is the language, ``spool`` keeps what nobody has got yet, ``outlets`` are the ways out,
and ``delivery`` carries one to the other. Nothing here knows of objects, tape, or requests.
"""
