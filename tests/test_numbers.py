"""Numbers as text: how many digits each kind of place shows."""

from __future__ import annotations

import pytest

from bayeslaw.core.numbers import factor, percent, precise, short


@pytest.mark.parametrize(
    ("value", "text"), [(0.1234, "0.123"), (2.0, "2"), (1.5e24, "1.5e24"), (2.5e-7, "2.5e-7"), (1e6, "1e6")]
)
def test_a_figures_numbers_are_short(value, text):
    assert short(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.123456, "0.12346"), (3e-7, "3e-07"), (12, "12"), ("a", "a"), (True, "True")]
)
def test_the_terminals_numbers_are_precise(value, text):
    assert precise(value) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.001234, "0.12"), (0.0999, "10"), (0.1, "10"), (0.1234, "12"), (3.456, "346")]
)
def test_a_share_has_two_digits(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("times", "text"),
    [(1.034, "1.03"), (12.4, "12"), (1234.5, "1200"), (10**5.3, "200000"), (1.2e7, "1.2e7")],
)
def test_a_factor_is_written_out_while_it_is_short(times, text):
    assert factor(times) == text
