"""The filters and apps that an ini's ``pipeline =`` names: one module each.

What they hand each other through the environ, and nothing else:

======================== ============ ============================================================
``s3filters.request_id`` catch_errors 16 hexadecimal digits that name the request everywhere
``s3filters.readable``   cors         returns, for the environ, the headers that let a page of the
                                      request's origin read an answer that is not made behind it
``s3filters.identity``   sigauth      who signed (``s3.call.Identity``), None for nobody
``s3filters.knows``      sigauth      returns whom an id or an access key means, None for nobody
``s3filters.call``       s3api        the request, understood (``s3.call.Call``)
======================== ============ ============================================================
"""
