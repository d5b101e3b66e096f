"""An app for an ini that keeps what PasteDeploy gave to its factory."""

ERRORS = {"LookupError": LookupError, "OSError": OSError}


class Echo:
    def __init__(self, global_conf, local_conf):
        self.global_conf = global_conf
        self.local_conf = local_conf


def app_factory(global_conf, **local_conf):
    if "fail" in local_conf:
        name = local_conf["fail"]
        raise ERRORS[name](f"{name} on demand")
    return Echo(global_conf, local_conf)
