# -*- coding: utf-8 -*-
"""Requests say what is wanted, and share nothing by default."""

import dataclasses

import pytest

from local_llm.reply_requests import Failure, Piece, Request, Sampling


def test_a_request_of_defaults_wants_the_likeliest_tokens_of_the_base() -> (
    None
):
    request = Request([1, 2], print)
    assert request.sampling == Sampling(do_sample=False)
    assert request.adapter is request.grammar is None
    assert request.stop_strings == ()


def test_a_request_is_cancelled_by_itself_alone() -> None:
    one, other = Request([1], print), Request([1], print)
    one.cancelled.set()
    assert not other.cancelled.is_set()
    assert one != other


@pytest.mark.parametrize("value", [Sampling(), Piece("a", 1), Failure])
def test_what_is_handed_around_cannot_be_changed(value: object) -> None:
    kind = value if isinstance(value, type) else type(value)
    assert dataclasses.fields(kind)
    assert kind.__dataclass_params__.frozen
