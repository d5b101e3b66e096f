"""One leads, whoever else would like to."""

from s3filters.store.beneath import Root
from s3filters.store.leading import Leading


def test_one_leads_as_long_as_it_lives(tmp_path):
    root = Root(str(tmp_path))
    first, second = Leading(root), Leading(Root(str(tmp_path)))
    assert first
    assert first
    assert not second
    first.close()
    assert second
    second.close()
    second.close()


def test_nothing_lies_on_the_disk(tmp_path):
    leading = Leading(Root(str(tmp_path)))
    assert leading
    assert list(tmp_path.iterdir()) == []
    leading.close()
