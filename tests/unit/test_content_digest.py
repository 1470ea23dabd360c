import hashlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.content_digest import combine, content_digest


def batch(rows: list[dict[str, object]]) -> pa.RecordBatch:
    schema = pa.schema([("text", pa.string()), ("n", pa.int64()), ("score", pa.float64())])
    return pa.RecordBatch.from_pylist(rows, schema)


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | st.text(st.characters(exclude_categories=["Cs"])),
            "n": st.none() | st.integers(-(2**63), 2**63 - 1),
            "score": st.none() | st.floats(allow_nan=False),
        }
    )
)


def test_one_row_is_the_sha256_of_its_json() -> None:
    expected = hashlib.sha256('{"n":7,"score":1.0,"text":"é\\n"}'.encode()).hexdigest()
    assert content_digest([batch([{"text": "é\n", "n": 7, "score": 1.0}])]) == (1, expected)


def test_the_hashes_of_rows_are_added_modulo_2_to_the_256() -> None:
    rows: list[dict[str, object]] = [{"text": "", "n": n, "score": None} for n in range(9)]
    texts = (f'{{"n":{n},"score":null,"text":""}}' for n in range(9))
    total = sum(int(hashlib.sha256(text.encode()).hexdigest(), 16) for text in texts)
    assert total > 2**257
    assert content_digest([batch(rows)]) == (9, f"{total % 2**256:064x}")
    assert combine([(1, "f" * 64), (2, f"{3:064x}")]) == (3, f"{2:064x}")


def test_the_digest_of_no_rows_is_zero() -> None:
    assert content_digest([]) == content_digest([batch([])]) == combine([]) == (0, "0" * 64)


@given(ROWS, st.randoms(), st.integers(0, 10))
def test_order_and_split_do_not_matter(rows: list[dict[str, object]], random: object, cut: int) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    whole = content_digest([batch(rows)])
    parts = [batch(shuffled[:cut]), batch(shuffled[cut:])]
    assert content_digest(parts) == whole
    assert combine(content_digest([part]) for part in parts) == whole


def test_order_of_columns_does_not_matter() -> None:
    rows = batch([{"text": "a", "n": 1, "score": None}])
    assert content_digest([rows.select(["score", "text", "n"])]) == content_digest([rows])


def test_width_of_strings_does_not_matter() -> None:
    rows = pa.table({"text": ["a", "b"]})
    wide = rows.cast(pa.schema([("text", pa.large_string())]))
    view = rows.cast(pa.schema([("text", pa.string_view())]))
    assert content_digest(rows.to_batches()) == content_digest(wide.to_batches()) == content_digest(view.to_batches())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([{"text": "a"}], [{"text": "a"}, {"text": "a"}]),
        ([{"text": None}], [{"text": "null"}]),
        ([{"text": "a"}, {"text": "b"}], [{"text": "ab"}, {"text": ""}]),
    ],
)
def test_other_rows_have_another_digest(one: list[dict[str, object]], other: list[dict[str, object]]) -> None:
    assert content_digest([batch(one)])[1] != content_digest([batch(other)])[1]


def test_swapped_columns_change_the_digest() -> None:
    swapped = [pa.RecordBatch.from_pydict({"prompt": ["b"], "completion": ["a"]})]
    assert content_digest([pa.RecordBatch.from_pydict({"prompt": ["a"], "completion": ["b"]})]) != content_digest(
        swapped
    )


def test_maps_are_refused() -> None:
    rows = pa.RecordBatch.from_pydict({"m": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))})
    with pytest.raises(TypeError, match="column m is a map"):
        content_digest([rows])
