from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3 import tokens


@given(st.text(st.characters(blacklist_categories=["Cs"])))
def test_a_place_comes_back(place):
    token = tokens.encode(place)
    assert tokens.decode(token) == place
    assert token.replace("-", "").replace("_", "").isalnum() or token == ""


@given(st.text())
def test_nothing_else_is_a_token_of_ours(text):
    place = tokens.decode(text)
    assert place is None or tokens.encode(place) == text or text.rstrip("=") == tokens.encode(place)


def test_a_token_does_not_show_the_key():
    assert "secret" not in tokens.encode("secret")
