"""The options of [server:main] say what they mean, and what is wrong with a value."""

import pytest

from s3filters import options as ini
from s3filters.server.options import Options
from s3filters.server.runner import SECTION


def read(**given):
    return ini.read(Options, SECTION, {}, given)


def test_defaults_are_as_documented():
    options = read()
    assert options.listen == ("127.0.0.1:9900",)
    assert options.workers == 0
    assert options.sockets == "shared"


def test_several_addresses_with_commas():
    given = "127.0.0.1:80, [::1]:81,unix:/run/s3.sock,localhost:82,:83"
    expected = ("127.0.0.1:80", "[::1]:81", "unix:/run/s3.sock", "localhost:82", ":83")
    assert read(listen=given).listen == expected


@pytest.mark.parametrize(
    "value", ["", "9900", "host", "unix:", "::1:80", "[::1]", "a:b", "a:1 b:2"]
)
def test_an_address_that_is_none_is_refused(value):
    with pytest.raises(ini.OptionError, match=r"\[server:main\] listen"):
        read(listen=value)


def test_a_permission_is_octal():
    assert read(socket_permission="0600").socket_permission == 0o600
    with pytest.raises(ini.OptionError, match="octal"):
        read(socket_permission="699")


def test_an_option_that_is_none_is_refused_by_name():
    with pytest.raises(ini.OptionError, match="has no option worker"):
        read(worker="2")


def test_a_port_beyond_the_last_is_refused():
    assert read(listen="[::1]:65535").listen == ("[::1]:65535",)
    with pytest.raises(ini.OptionError, match="the last port is 65535"):
        read(listen="127.0.0.1:80,127.0.0.1:65536")


def test_a_key_without_a_certificate_is_refused():
    with pytest.raises(ini.OptionError, match=r"\[server:main\] key is set and certificate is not"):
        read(key="k.pem")
    assert read(key="k.pem", certificate="c.pem").key == "k.pem"
