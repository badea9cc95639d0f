# -*- coding: utf-8 -*-
"""One new token attends as transformers' own attention does."""

from types import SimpleNamespace

import pytest
import torch
from tiny_models import gemma, gemma3
from transformers import DynamicCache, PreTrainedModel, StaticCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from local_llm import one_query_attention as one_query
from local_llm.one_query_attention import (
    NAME,
    OneQueryAttention,
    one_query_attention,
)

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
ROWS, TOKENS, WIDTH = 3, 37, 32


def both(
    heads: int,
    groups: int,
    queries: int = 1,
    dtype: torch.dtype = torch.float32,
    mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same attention by this package and by transformers."""
    query = torch.randn(ROWS, heads, queries, WIDTH).to(dtype)
    key, value = torch.randn(2, ROWS, groups, TOKENS, WIDTH).to(dtype)
    module = SimpleNamespace(num_key_value_groups=heads // groups)
    arguments = (module, query, key, value, mask)
    found, nothing = one_query_attention(*arguments, scaling=0.3)
    wanted, _ = sdpa_attention_forward(*arguments, scaling=0.3)
    assert nothing is None
    return found, wanted


def some_mask() -> torch.Tensor:
    """Each row sees some tokens, the first among them."""
    mask = torch.rand(ROWS, 1, 1, TOKENS) > 0.5
    mask[..., 0] = True
    return mask


@pytest.fixture(name="fused_tokens", params=[0, TOKENS])
def fixture_fused_tokens(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once the text counts as long, once as short."""
    monkeypatch.setattr(one_query, "FUSED_TOKENS", request.param)


@pytest.mark.usefixtures("fused_tokens")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("heads", "groups"), [(4, 1), (4, 4), (8, 2)])
@pytest.mark.parametrize("masked", [False, True])
def test_it_equals_the_fused_function(
    dtype: torch.dtype,
    heads: int,
    groups: int,
    masked: bool,
) -> None:
    mask = some_mask() if masked else None
    found, wanted = both(heads, groups, dtype=dtype, mask=mask)
    tolerance = TOLERANCE[dtype]
    assert found.shape == wanted.shape == (ROWS, 1, heads, WIDTH)
    torch.testing.assert_close(found, wanted, rtol=0, atol=tolerance)


@pytest.mark.usefixtures("fused_tokens")
def test_a_mask_that_is_added_is_added() -> None:
    bias = torch.where(some_mask(), 0.5, -1e30)
    found, wanted = both(4, 2, mask=bias)
    torch.testing.assert_close(found, wanted)


def test_several_queries_go_to_the_fused_function() -> None:
    found, wanted = both(4, 2, queries=5)
    assert torch.equal(found, wanted)


@pytest.mark.usefixtures("fused_tokens")
def test_a_row_that_sees_nothing_does_not_become_nan() -> None:
    mask = some_mask()
    mask[1] = False
    found, wanted = both(4, 2, mask=mask)
    assert found.isfinite().all()
    torch.testing.assert_close(found[[0, 2]], wanted[[0, 2]])


def test_without_a_scale_it_is_that_of_the_width() -> None:
    query = torch.randn(ROWS, 4, 1, WIDTH)
    key, value = torch.randn(2, ROWS, 4, TOKENS, WIDTH)
    module = SimpleNamespace()
    found, _ = one_query_attention(module, query, key, value, None)
    wanted, _ = sdpa_attention_forward(module, query, key, value, None)
    torch.testing.assert_close(found, wanted)


def decoded(model: PreTrainedModel, kind: type) -> torch.Tensor:
    """Logits of three steps after prompts of unlike length, padded left."""
    ids = torch.randint(5, 300, (2, 80))
    mask = torch.ones(2, 83, dtype=torch.long)
    mask[0, :30] = 0
    more = {"max_cache_len": 96} if kind is StaticCache else {}
    cache = kind(config=model.config, **more)
    found = []
    with torch.no_grad():
        for start, end in ((0, 77), (77, 78), (78, 79), (79, 80)):
            output = model(
                ids[:, start:end],
                attention_mask=mask[:, :end],
                position_ids=(mask.cumsum(-1) - 1).clamp(0)[:, start:end],
                past_key_values=cache,
            )
            found.append(output.logits[:, -1])
    return torch.stack(found)


@pytest.mark.parametrize("kind", [DynamicCache, StaticCache])
@pytest.mark.parametrize("make", [gemma, gemma3])
def test_a_model_that_decodes_padded_rows_has_the_same_logits(
    make,
    kind: type,
) -> None:
    model = make().eval()
    model.set_attn_implementation("sdpa")
    torch.manual_seed(3)
    wanted = decoded(model, kind)
    switch = OneQueryAttention(model)
    switch.use()
    assert model.config._attn_implementation == NAME
    torch.manual_seed(3)
    found = decoded(model, kind)
    switch.put_back()
    assert model.config._attn_implementation == "sdpa"
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert torch.equal(found.argmax(-1), wanted.argmax(-1))


def test_only_the_fused_function_is_replaced() -> None:
    model = gemma()
    assert OneQueryAttention.can_use(model)
    model.set_attn_implementation("eager")
    assert not OneQueryAttention.can_use(model)
