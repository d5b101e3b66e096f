"""Kernel errors become store errors, and store errors are named as S3's codes."""

import errno

import pytest

from s3filters.s3.errors import CODES
from s3filters.store import errors
from s3filters.store.errors import StoreError


def subclasses():
    return [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, StoreError)]


def test_every_store_error_is_a_code_of_s3():
    names = {c.__name__ for c in subclasses()} - {"StoreError", "AlreadyExists"}
    assert names <= set(CODES)


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_kernel_error_becomes_one_without_showing_paths_to_clients(number):
    found = errors.from_os(OSError(number, "words", "/srv/secret"), "box/key")
    assert type(found) in subclasses()
    assert "/srv" not in str(found)
    assert found.__notes__ == [f"{errno.errorcode[number]} at 'box/key'"]


def test_an_error_without_a_number_is_internal():
    assert isinstance(errors.from_os(OSError("what"), "box"), errors.InternalError)
