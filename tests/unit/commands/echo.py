"""An app and a server for an ini, which keep what PasteDeploy gave to their factories."""

ERRORS = {"LookupError": LookupError, "OSError": OSError}

served = []


class Echo:
    def __init__(self, global_conf, local_conf):
        self.global_conf = global_conf
        self.local_conf = local_conf


def app_factory(global_conf, **local_conf):
    if "fail" in local_conf:
        name = local_conf["fail"]
        raise ERRORS[name](f"{name} on demand")
    return Echo(global_conf, local_conf)


def server_factory(global_conf, greeting):
    def serve(app):
        served.append((greeting, type(app).__name__))

    return serve
