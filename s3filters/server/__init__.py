"""The server: sockets, HTTP/1.1, green threads and worker processes in front of any WSGI app.

Nothing here has heard of S3, and nothing outside imports eventlet. From the outside in:

==============  ============================================================================
``runner``      what an ini's ``[server:main]`` and the command line call
``master``      the process that keeps workers alive
``worker``      one process: loads the app, serves, drains
``listeners``   listening sockets, TLS settings
``acceptor``    connections off a listening socket, shared out between the workers
``service``     what the connections of one worker share
``connection``  one client: requests in order, and when it ends
``head``        a request's head, parsed or refused
``input``       ``wsgi.input``
``answer``      an answer, framed
``reply``       an answer's head
``files``       a file as an answer's body
``stream``      a socket in a green thread
``offload``     real threads for work that blocks
``green``       the hub
==============  ============================================================================
"""
