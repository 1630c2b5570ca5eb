"""JSON that is read a piece at a time."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregates import pieces
from aggregates.pieces import Malformed, Pieces

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def read(text: str) -> dict[str, Any]:
    """Return an object, its arrays taken element by element."""
    taken = Pieces(io.StringIO(text))
    found: dict[str, Any] = {}
    for name in taken.entries():
        found[name] = [taken.value() for _line in taken.elements()] if taken.next() == "[" else taken.value()
    assert not taken.next()
    return found


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.sampled_from([None, 1]), st.integers(1, 9))
def test_it_says_what_json_says_however_it_is_cut(value: dict[str, Any], indent: int | None, size: int) -> None:
    before, pieces.PIECE = pieces.PIECE, size
    try:
        assert read(json.dumps(value, indent=indent)) == value
    finally:
        pieces.PIECE = before


def test_a_number_that_is_cut_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 1)
    assert read('{"a": 123456, "b": [78, 9]}') == {"a": 123456, "b": [78, 9]}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "it ends here"),
        ("[1]", 1, "{ should stand here, not ["),
        ('{"a": 1', 1, "it ends here"),
        ('{"a": 1\n "b": 2}', 2, ', or } should stand here, not "'),
        ('{"a": 1,\n\n b: 2}', 3, '" should stand here, not b'),
        ('{"a"\n, 1}', 2, ": should stand here, not ,"),
        ('{"a": [1,\n 2 3]}', 2, ", or ] should stand here, not 3"),
        ('{"a": [1,\n', 2, "it ends here"),
        ('{"a":\n nonsense}', 2, "no JSON: Expecting value"),
        ('{"a": {"b":\n nonsense}}', 2, "no JSON: Expecting value"),
        ('{"a": "never ends', 1, "no JSON: Unterminated string"),
        ('{"a": ' + "9" * 5_000 + "}", 1, "too many digits"),
        ('{"a": ' + '{"a": ' * 50_000, 1, "too many brackets"),
        ('{"a": "' + "x" * 200_000 + '"}', 1, "no value begins here that ends within 65,536 characters"),
    ],
)
def test_what_is_no_json_is_refused_with_the_line(text: str, line: int, says: str) -> None:
    with pytest.raises(Malformed) as refused:
        read(text)
    assert str(refused.value).startswith(f"line {line}: ")
    assert says in str(refused.value)


def test_text_in_another_encoding_is_refused() -> None:
    taken = Pieces(io.TextIOWrapper(io.BytesIO(b'{"\xff": 1}'), encoding="utf-8"))
    with pytest.raises(Malformed, match="no UTF-8"):
        list(taken.entries())
