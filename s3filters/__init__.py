"""S3 for storage that people already have, as a set of PasteDeploy filters.

``server`` runs a pipeline, ``pipeline`` holds the filters that an ini names, ``backends`` answer S3
operations, ``s3`` is the S3 language, ``sign`` the signatures, ``store`` the bytes on disk and
``commands`` the command line.
"""

__version__ = "0.1.0"
