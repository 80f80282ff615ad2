"""The request body: what is refused, with which sentence, and what duplicates are found."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.envelope import MOST_SEARCHED_BYTES, decode_envelope, refuse_duplicates
from ingest.problems import Problem, Refused
from tests.support.server import envelope
from vault.items import MAX_FIELDS

KEY = "Ab" * 32
AUTH = f'{{"type":"ClientAuth","databaseKey":"{KEY}"}}'

names = st.text(max_size=8) | st.sampled_from(["type", "id", "auth", "payload", 'a"b', "a:b", '\\"', "a\\"])
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from([":", '":', '\\":', '"\\', '{"a":1}'])
)


def _body(payload: str, *, auth: str = AUTH, more: str = "") -> bytes:
    return f'{{"auth":{auth},"payload":{payload}{more}}}'.encode()


def _problem(body: bytes) -> Problem:
    with pytest.raises(Refused) as refused:
        refuse_duplicates(body, decode_envelope(body).payload)
    return refused.value.problem


@given(st.dictionaries(names, scalars, max_size=8))
def test_a_flat_payload_comes_out_as_it_was_sent(payload: dict[str, Any]) -> None:
    """The decoder adds, drops and changes nothing; keys and values may look like JSON."""
    body = envelope(KEY, payload)
    decoded = decode_envelope(body)
    refuse_duplicates(body, decoded.payload)

    assert decoded.payload == payload
    assert decoded.key.reveal().hex() == KEY.lower()


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@example(b"")
@example(b"\xff\xfe{")
@example(b"\xef\xbb\xbf" + _body("{}"))
@example(b'{"auth":' * 100_000)
@example(_body("[" * 100_000))
@example(_body('{"a":' + "9" * 5_000 + "}"))
@example(_body('{"a":"\\ud800"}'))
def test_any_bytes_give_an_envelope_or_one_line(body: bytes) -> None:
    """Nothing a client sends is an error of ours, and no answer is more than one line."""
    with contextlib.suppress(Refused):
        refuse_duplicates(body, decode_envelope(body).payload)
        return
    problem = _problem(body)

    assert problem.status in {400, 403}
    assert "\n" not in problem.sentence


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (_body('{"type":"N","a":[]}'), "a: a text, number, true, false or null was expected"),
        (_body('{"type":"N","a":{"b":1}}'), "a: a text, number, true, false or null was expected"),
        (_body('{"type":"N","a":1e400}'), "a: a text, number, true, false or null was expected"),
        (_body('{"a b\\n":[]}'), "a property: a text, number, true, false or null was expected"),
        (_body("null"), "payload: an object with a type was expected"),
        (_body("[]"), "payload: an object with a type was expected"),
        (_body("{}", auth="1"), "auth: an object with type and databaseKey was expected"),
        (_body("{}", auth="{}"), "auth: an object with type and databaseKey was expected"),
        (_body("{}", auth='{"type":"clientauth"}'), "auth.type: ClientAuth was expected"),
        (_body("{}", auth='{"type":"ClientAuth"}'), "auth.databaseKey: 64 hexadecimal digits were expected"),
        (b"[]", "the body: an object with auth and payload was expected"),
        (b"{}", "the body: an object with auth and payload was expected"),
        (b"hello", "the body is not JSON in UTF-8, at byte 0"),
        (b'{"auth":', "the body is not JSON in UTF-8"),
        (b'{"auth":"\xff"}x', "auth: an object with type and databaseKey was expected"),
    ],
)
def test_a_refusal_names_the_field(body: bytes, sentence: str) -> None:
    """The person behind the client has to find what to change."""
    problem = _problem(body)

    assert (problem.status, problem.sentence) == (400, sentence)


def test_a_faulty_field_of_a_large_body_is_not_searched_for() -> None:
    """A second decode of a megabyte is work an attacker would choose."""
    text = "x" * MOST_SEARCHED_BYTES

    assert _problem(_body(f'{{"a":"{text}","b":[]}}')).sentence.startswith("a property: ")


@pytest.mark.parametrize("value", ["canary-value", KEY])
def test_no_refusal_quotes_a_value(value: str) -> None:
    """Answers end up in other people's logs."""
    bodies = [
        _body(f'{{"type":["{value}"]}}'),
        _body("{}", auth=f'{{"type":"{value}"}}'),
        _body("{}", auth=f'{{"type":"ClientAuth","databaseKey":"{value}x"}}'),
        _body("{}", auth=f'"{value}"'),
    ]

    assert not [body for body in bodies if value in _problem(body).sentence]


@pytest.mark.parametrize(
    "key", ["", "a" * 63, "a" * 65, "g" * 64, "a" * 63 + " ", "a" * 64 + "\\n", " " + "a" * 63, "a" * 128]
)
def test_a_database_key_is_exactly_64_hex_digits(key: str) -> None:
    """SQLCipher takes anything else for a passphrase, and spends 130 ms on it."""
    body = _body("{}", auth=f'{{"type":"ClientAuth","databaseKey":"{key}"}}')

    assert _problem(body).sentence == "auth.databaseKey: 64 hexadecimal digits were expected"


def test_plugins_are_told_that_they_have_no_access() -> None:
    """The original ran them; here they are refused, whatever they carry."""
    body = _body('{"type":"N"}', auth='{"type":"PluginAuth","data":{"nonce":"x","encryptedPermissions":"y"}}')

    assert _problem(body).status == 403


def test_members_are_bounded() -> None:
    """Distinct keys are what still costs memory in a flat, typed decode."""
    most = {f"a{i}": i for i in range(MAX_FIELDS)}

    assert decode_envelope(envelope(KEY, most)).payload == most
    assert "512" in _problem(envelope(KEY, most | {"one_more": 1})).sentence


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80"], ids=["no UTF-8", "a surrogate"])
def test_what_is_ignored_is_text_in_utf_8_too(text: bytes) -> None:
    """Bytes that are no text are refused wherever they stand, whatever becomes of them."""
    body = _body('{"type":"N"}', more=',"x":"?"').replace(b"?", text)

    assert _problem(body).sentence == "the body is not JSON in UTF-8"


def test_extras_beside_auth_and_payload_are_ignored() -> None:
    """Real clients send some."""
    auth = f'{{"type":"ClientAuth","databaseKey":"{KEY}","x":{{"a":[1,2]}}}}'
    body = _body('{"type":"N"}', auth=auth, more=',"extra":[{"a":1},{"a":1}]')
    decoded = decode_envelope(body)
    refuse_duplicates(body, decoded.payload)

    assert decoded.payload == {"type": "N"}


@pytest.mark.parametrize(
    "body",
    [
        _body('{"type":"N","type":"N"}'),
        _body('{"type":"N","a":1,"\\u0061":2}'),
        _body('{"a:b":":","a:b":":"}'),
        _body('{"type":"N"}', more=',"payload":{"type":"N"}'),
        _body('{"type":"N"}', more=f',"auth":{AUTH}'),
        _body("{}", auth=f'{{"type":"ClientAuth","type":"ClientAuth","databaseKey":"{KEY}"}}'),
        _body("{}", auth=f'{{"type":"ClientAuth","databaseKey":"{KEY}","databaseKey":"{KEY}"}}'),
        _body("{}", auth=f'{{"type":"ClientAuth","databaseKey":"{KEY}","database\\u004bey":"{KEY}"}}'),
        _body("{}", more=',"x":1,"x":2'),
        _body("{}", more=',"x":[{"y":1,"y":2}]'),
        _body('{"type":"N","type":"N"}', more=',"x":":"'),
    ],
)
def test_a_key_that_stands_twice_is_refused(body: bytes) -> None:
    """The last would win in silence, and two readers of one request would see two items."""
    problem = _problem(body)

    assert problem.status == 400
    assert problem.sentence.endswith("this key appears twice in one object")


@given(st.lists(st.tuples(names, scalars), max_size=6), st.booleans())
def test_duplicates_are_found_whatever_keys_and_values_look_like(
    pairs: list[tuple[str, Any]], has_extra: bool
) -> None:
    """The cheap proofs count colons; colons and quotes inside texts must not fool them."""
    members = ",".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in pairs)
    body = _body(f"{{{members}}}", more=',"extra":{":":":"}' if has_extra else "")
    decoded = decode_envelope(body)

    if len(decoded.payload) == len(pairs):
        refuse_duplicates(body, decoded.payload)
    else:
        assert _problem(body).sentence.endswith("this key appears twice in one object")


@pytest.mark.parametrize(
    "extra",
    [
        "[" + ",".join(["{}"] * 20_000) + "]",
        "[" + ",".join(["[]"] * 20_000) + "]",
        "{" + ",".join(f'"{number}":1' for number in range(20_000)) + "}",
    ],
)
def test_a_bomb_in_the_extras_is_not_built(extra: str) -> None:
    """What is ignored must not cost memory either."""
    assert "at most" in _problem(_body("{}", more=f',"x":{extra}')).sentence


def test_the_search_for_duplicates_is_linear() -> None:
    """A megabyte of quotes, escapes or distinct names takes no longer than its length suggests."""
    slow = [
        _body('{"a":"' + '\\"' * 400_000 + '"}', more=',"x":1'),
        _body('{"a":"' + ": " * 400_000 + '"}', more=',"x":1'),
        _body("{}", more=',"x":{' + ",".join(f'"{i}":0' for i in range(9_000)) + "}"),
    ]
    began = time.process_time()
    for body in slow:
        refuse_duplicates(body, decode_envelope(body).payload)

    assert time.process_time() - began < 10
