"""Ini options: names, values, and whose section they belong to."""

from dataclasses import dataclass

import pytest

from s3filters import options
from s3filters.options import option


@dataclass(frozen=True, slots=True)
class Options:
    region: str = option("us-east-1", options.text, "Region of the service.", shared=True)
    days: int = option(1, options.whole(1, 365), "How long a restored copy stays, in days.")
    strict: bool = option(False, options.boolean, "Refuse what AWS would refuse.")


def read(global_conf=(), **local_conf):
    return options.read(Options, "filter:x", dict(global_conf), local_conf)


def test_without_any_option_the_defaults_hold():
    assert read() == Options(region="us-east-1", days=1, strict=False)


def test_a_shared_option_comes_from_default_and_the_others_from_the_section():
    assert read({"region": "eu-west-1", "days": "9"}, days="3") == Options("eu-west-1", 3, False)


def test_an_unknown_option_is_an_error_that_names_the_known_ones():
    with pytest.raises(options.OptionError) as error:
        read(dais="3")
    assert str(error.value) == "[filter:x] has no option dais; it has days, strict"


def test_a_shared_option_in_a_section_is_sent_to_default():
    with pytest.raises(options.OptionError, match=r"region belongs to \[DEFAULT\]"):
        read(region="eu-west-1")


def test_a_bad_value_is_an_error_that_names_section_option_and_value():
    with pytest.raises(options.OptionError) as error:
        read(days="0")
    assert str(error.value) == "[filter:x] days = 0: say a whole number from 1 to 365"


@pytest.mark.parametrize("word", ["true", "Yes", " on ", "1"])
def test_a_boolean_says_yes(word):
    assert options.boolean(word) is True


@pytest.mark.parametrize("word", ["false", "No", "off", "0"])
def test_a_boolean_says_no(word):
    assert options.boolean(word) is False


@pytest.mark.parametrize("word", ["", "ture", "2", "enabled"])
def test_a_boolean_that_is_a_typo_is_an_error_and_never_no(word):
    with pytest.raises(ValueError, match="true or false"):
        options.boolean(word)


@pytest.mark.parametrize("word", ["-1", "1.5", "", "1e3", "x", "4"])
def test_a_whole_number_out_of_range_or_misspelt_is_refused(word):
    with pytest.raises(ValueError, match="from 1 to 3"):
        options.whole(1, 3)(word)


def test_a_whole_number_without_an_upper_end_takes_any_size():
    assert options.whole(0)(" 123456789012 ") == 123456789012


@pytest.mark.parametrize(("word", "value"), [("0", 0.0), (" 2.5 ", 2.5), ("86400", 86400.0)])
def test_seconds_may_have_a_fraction(word, value):
    assert options.seconds(word) == value


@pytest.mark.parametrize("word", ["-1", "nan", "inf", "1s", ""])
def test_seconds_that_are_no_time_are_refused(word):
    with pytest.raises(ValueError, match="seconds"):
        options.seconds(word)


def test_a_choice_takes_its_words_and_nothing_else():
    parse = options.choice("full", "data", "none")
    assert parse(" data ") == "data"
    with pytest.raises(ValueError, match="say one of full, data, none"):
        parse("Full")
