import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloacina_signing.errors import StrictJsonError
from cloacina_signing.strict_json import JsonValue, dumps, parse

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
_VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    _SCALARS,
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(_VALUES)
def test_what_is_dumped_is_parsed_back_equal_and_dumped_the_same(value: JsonValue) -> None:
    raw = dumps(value)
    assert parse(raw) == value == json.loads(raw)
    assert dumps(parse(raw)) == raw


def test_the_canonical_form_is_sorted_compact_utf8_and_ends_in_a_newline() -> None:
    assert (
        dumps({"b": (1, 2.5), "a": "é", "A": None}) == '{"A":null,"a":"é","b":[1,2.5]}\n'.encode()
    )


@pytest.mark.parametrize(
    ("raw", "where", "fact"),
    [
        (b"\xef\xbb\xbf{}", "byte 0", "byte order mark"),
        (b'{"a":"\xff"}', "byte 6", "UTF-8"),
        (b'"\xed\xa0\x80"', "byte 1", "UTF-8"),
        (b'{"a":[{"b":1,"b":2}]}', "$.a[0]", "twice"),
        (b'{"a":1,"\\u0061":2}', "$", "twice"),
        (b'{"a":[1,NaN]}', "$.a[1]", "NaN"),
        (b'{"a b":-Infinity}', "$['a b']", "-Infinity"),
        (b"[9223372036854775808]", "$[0]", "64 signed bits"),
        (b"[-9223372036854775809]", "$[0]", "64 signed bits"),
        (b"[" + b"9" * 100_000 + b"]", "$[0]", "64 signed bits"),
        (b"[1e999]", "$[0]", "double"),
        (b'{"k":"\\ud800"}', "$.k", "surrogate"),
        (b'{"k":{"\\udfff x":1}}', "$.k", "surrogate"),
        (b"{} {}", "line 1 column 4", "Extra data"),
        (b"[1,]", "line 1", ""),
        (b"{'a':1}", "line 1 column 2", ""),
        (b"[01]", "line 1 column 3", ""),
        (b'["\n"]', "line 1 column 3", "control character"),
        (b'["open', "line 1", ""),
        (b"", "line 1 column 1", ""),
        ("[\u0661]".encode(), "line 1 column 2", ""),
        (b"\x00[]", "line 1 column 1", ""),
    ],
)
def test_every_rule_is_enforced_and_its_place_named(raw: bytes, where: str, fact: str) -> None:
    with pytest.raises(StrictJsonError) as caught:
        parse(raw)
    assert caught.value.where.startswith(where)
    assert fact.lower() in caught.value.fact.lower()


def test_the_largest_and_smallest_integers_are_read() -> None:
    assert parse(b"[9223372036854775807,-9223372036854775808]") == [2**63 - 1, -(2**63)]


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_deep_nesting_is_refused_before_it_is_parsed(opening: bytes) -> None:
    with pytest.raises(StrictJsonError, match="nested deeper than 32"):
        parse(opening * 100_000)


def test_nesting_up_to_the_limit_is_read_and_brackets_in_strings_do_not_count() -> None:
    raw = b"[" * 32 + b'"[[[\\"[[["' + b"]" * 32
    assert dumps(parse(raw)) == raw + b"\n"
    with pytest.raises(StrictJsonError, match="nested deeper"):
        parse(b"[" + raw + b"]")


def test_an_unclosed_string_full_of_escaped_quotes_is_scanned_once() -> None:
    with pytest.raises(StrictJsonError, match="line 1"):
        parse(b'"' + b'\\"' * 500_000)


def test_the_size_is_capped() -> None:
    assert parse(b"[" + b" " * 98 + b"]", max_bytes=100) == []
    with pytest.raises(StrictJsonError, match="at most 100"):
        parse(b"[" + b" " * 99 + b"]", max_bytes=100)


@pytest.mark.parametrize(
    "value",
    [float("nan"), 2**63, "\ud800", {"\udc00": 1}, [b"bytes"], {1: 2}, {"a": {1, 2}}],
)
def test_values_that_could_not_be_read_back_are_not_dumped(value: JsonValue) -> None:
    with pytest.raises(StrictJsonError):
        dumps(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[JsonValue] = []
    loop.append(loop)
    with pytest.raises(StrictJsonError, match="too deep"):
        dumps(loop)


@settings(max_examples=150)
@given(st.binary(max_size=60) | st.text('{}[]",:\\u0129eE.- \n', max_size=40).map(str.encode))
def test_any_bytes_are_parsed_or_refused_by_our_own_error(raw: bytes) -> None:
    refusal: StrictJsonError | None = None
    value: JsonValue = None
    try:
        value = parse(raw)
    except StrictJsonError as error:
        refusal = error
    if refusal is None:
        assert value == json.loads(raw)
    else:
        assert str(refusal).isprintable()


def test_reading_archives_wheels_and_json_does_not_load_the_cryptography_library() -> None:
    modules = ("strict_json", "archive", "wheel_reader", "canonical_wheel", "dsse", "errors")
    imports = "; ".join(f"import cloacina_signing.{module}" for module in modules)
    script = f"import sys; {imports}; print('cryptography' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "False"
