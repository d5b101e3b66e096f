"""The filters and apps that an ini's ``pipeline =`` names: one module each.

What they hand each other through the environ, and nothing else:

======================== ============ ============================================================
``s3filters.request_id`` catch_errors 16 hexadecimal digits that name the request everywhere
``s3filters.identity``   sigauth      who signed (``s3.call.Identity``), None for nobody
``s3filters.call``       s3api        the request, understood (``s3.call.Call``)
======================== ============ ============================================================
"""
