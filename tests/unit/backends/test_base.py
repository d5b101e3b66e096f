import pytest

from s3filters.backends import base
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from s3filters.s3.multipart import OPERATIONS


class Willing:
    """A backend that answers everything with the name of the method."""

    def __getattr__(self, name):
        return lambda call: name


def refused(backend, call):
    with pytest.raises(S3Error) as caught:
        base.answer(backend, call)
    return caught.value


def test_a_backend_is_asked_by_the_name_of_the_operation():
    assert base.answer(Willing(), Call("ListObjectsV2")) == "list_objects_v2"


def test_an_operation_without_a_method_is_not_implemented():
    assert refused(object(), Call("GetObject")).code == "NotImplemented"


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_multipart_operations_need_the_filter(name):
    error = refused(Willing(), Call(name))
    assert (error.code, error.message) == ("NotImplemented", f"{name} is not implemented.")
    assert base.answer(Willing(), Call(name, multipart=True)) == base.method_name(name)
