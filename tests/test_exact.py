"""Plain values come back from text with every bit; what is not plain is refused; reading runs nothing."""

from __future__ import annotations

import json
import math
import struct

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from bayeslaw.core.exact import exact_text, exact_value, fingerprint

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)
ARRAYS = hn.arrays(
    hn.floating_dtypes(endianness="=", sizes=(32, 64)) | hn.integer_dtypes() | hn.boolean_dtypes() | hn.unicode_string_dtypes(),
    hn.array_shapes(min_dims=0, min_side=0),
)  # fmt: skip


def bits(value):
    """Return a value in which floats are compared by their bits, and everything by its type."""
    if isinstance(value, float) and not isinstance(value, np.generic):
        return "float", struct.pack("<d", value)
    if isinstance(value, list | tuple):
        return type(value), [bits(one) for one in value]
    return (dict, {k: bits(v) for k, v in value.items()}) if isinstance(value, dict) else (type(value), value)


@given(PLAIN)
def test_values_come_back_as_they_were(value):
    text = exact_text(value)
    assert bits(exact_value(text)) == bits(value)
    assert json.loads(text, parse_constant=pytest.fail) is not ...  # no NaN: JSON has none


@given(ARRAYS)
def test_arrays_come_back_with_every_bit(array):
    for one in (array, array.T):
        back = exact_value(exact_text(one))
        assert (back.dtype, back.shape, back.tobytes()) == (one.dtype, one.shape, one.tobytes())
        assert back.flags.writeable and back.flags.c_contiguous


def test_a_nan_keeps_its_payload_and_a_zero_its_sign():
    odd = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_00AB))[0]
    for value in (odd, -0.0, 5e-324, math.inf, -math.inf, 0.1):
        for one in (value, np.float64(value)):
            back = exact_value(exact_text(one))
            assert type(back) is type(one) and struct.pack("<d", back) == struct.pack("<d", one)


def test_what_xarray_labels_comes_back():
    one = xr.DataArray(
        np.arange(6.0).reshape(2, 3), {"chain": [0, 1], "run": ("draw", ["a", "b", None])}, ("chain", "draw"), "alpha",
        {"units": "nat", "ends": (0.05, np.float32(0.95))},
    )  # fmt: skip
    both = xr.Dataset(
        {"alpha": one, "n": ((), 3), "text": ("draw", np.array(["x", None, 3], object))}, attrs={"a": [1]}
    )
    for value in (one, both):
        back = exact_value(exact_text(value))
        assert back.identical(value) and list(back.coords) == list(value.coords)


@pytest.mark.parametrize(
    "value", [object(), {1: 2}, {"a": {3}}, [print], 1j, np.array([1], "M8[s]"), np.datetime64(1, "s"), b"x"]
)
def test_what_is_not_plain_is_refused(value):
    with pytest.raises(TypeError, match="cannot be written as plain data"):
        exact_text(value)


@pytest.mark.parametrize(
    "text",
    ['{"array": ["|O", [1], "AAAAAAAAAAA="]}', '{"call": "print"}', '{"array": ["<f8", [2], "AAAA"]}', "{}"],
)
def test_nothing_else_is_read(text):
    with pytest.raises((ValueError, KeyError)):
        exact_value(text)


def test_a_fingerprint_sees_every_bit_and_no_order():
    value = {"a": np.array([0.1, 0.2]), "b": (1, None)}
    assert fingerprint(value) == fingerprint(dict(reversed(value.items())))
    others = [
        {**value, "a": np.nextafter(value["a"], 1)}, {**value, "a": value["a"].astype("f4")}, {**value, "b": [1, None]},
        {**value, "b": (True, None)}, {**value, "b": (1.0, None)}, {**value, "a": value["a"][None]},
    ]  # fmt: skip
    assert len({fingerprint(one) for one in (value, *others)}) == 7
