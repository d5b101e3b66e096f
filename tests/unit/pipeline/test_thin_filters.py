"""acl without facts about any bucket: what it can still decide."""

import pytest

from s3filters import options
from s3filters.pipeline import acl
from s3filters.s3.call import KEY, Call, Identity
from s3filters.s3.operations import ROWS


def below(environ, start_response):
    start_response("200 OK", [])
    return [b"below"]


def ask(module, operation, identity=None):
    seen = []
    app = module.filter_factory({})(below)
    environ = {"REQUEST_METHOD": "GET", KEY: Call(operation, "bucket", "key", identity=identity)}
    return b"".join(app(environ, lambda *answer: seen.append(answer))), seen[0][0]


@pytest.mark.parametrize("name", [row.name for row in ROWS])
@pytest.mark.parametrize("role", ["", "user", "userplus"])
def test_administrators_may_do_everything_and_all_others_nothing(name, role):
    assert ask(acl, name, Identity("AK", "AK", role="admin"))[0] == b"below"
    body, status = ask(acl, name, Identity("AK", "AK", role=role) if role else None)
    assert status == "403 Forbidden"
    assert b"<Code>AccessDenied</Code>" in body


def test_it_has_no_options():
    with pytest.raises(options.OptionError):
        acl.filter_factory({}, colour="red")
