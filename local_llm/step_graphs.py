# -*- coding: utf-8 -*-
"""Steps of rows that are decoded together, from captured graphs.

A step of one token is some thousand small kernels, and Python needs longer to
start them than a GPU to run them. What is the same at every step is captured
and replayed; tokens, positions and the place in the cache are copied into
fixed tensors before. Knows no requests. Raises what the model raises.
"""

import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from .fixed_cache import FixedCache
from .graph_capture import Capture, computed_blindly
from .model_step import ModelStep

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from .slot_cache import SlotCache

log = logging.getLogger(__name__)

PLAIN_STEPS = 8
"""Before a capture, an estimate of what it costs: it runs the step three times
and builds the graph. What does not last so long is not captured."""

MOST_GRAPHS = 4
"""That are kept; each has the memory of a step, and its adapters."""

MOST_APART = 0.05
"""How far captured scores may be from plain ones, of their norm. In bfloat16
and with models of two layers they are 0.005 to 0.012 apart, by rounding; with
a mask that lacks the padding 0.14 to 0.39."""

_REFUSALS = (
    RuntimeError,  # torch's, CUDA's, memory that has run out
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""What models raise that expect another cache."""

_Key = tuple[int, object]


@dataclass(frozen=True, eq=False)
class _Graph:
    """A captured step.

    Attributes:
        ids (`torch.Tensor`):
            The tokens, int64, shape (rows, 1).
        positions (`torch.Tensor`):
            Their places in their rows, int64, shape (rows, 1).
        place (`torch.Tensor`):
            Their place in the cache, int64, shape ().
        replay (`Callable[[], torch.Tensor]`):
            Computes the scores of these.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    place: torch.Tensor
    replay: Callable[[], torch.Tensor]

    def scores(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        place: int,
    ) -> torch.Tensor:
        """The scores of other tokens elsewhere; the caller may keep them."""
        self.ids.copy_(ids)
        self.positions.copy_(positions)
        self.place.fill_(place)
        return self.replay().clone()


class StepGraphs:
    """The captured steps of a model.

    They belong to the buffers of one cache: others when it moves. Where one
    cannot be captured, or gives other scores than the model without it, this
    model's steps are plain ones from then on.

    Args:
        model (`PreTrainedModel`):
            The model.
        capture (`Capture`):
            The recorder of its device.
    """

    def __init__(self, model: "PreTrainedModel", capture: Capture) -> None:
        self._step = ModelStep(model)
        self._capture = capture
        self._has_given_up = False
        self.clear()

    def clear(self) -> None:
        """Forget all graphs, and what they keep in memory."""
        self._graphs: dict[_Key, _Graph] = {}
        self._buffer: Callable[[], torch.Tensor | None] = lambda: None
        self._forget_count()

    def scores(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor | None,
        cache: "SlotCache",
        in_use: object,
    ) -> torch.Tensor:
        """Add a token to every row of a cache, and score those after them.

        Args:
            ids, positions, mask (`torch.Tensor`):
                As of `ModelStep.scores`, one token for each row.
            cache (`SlotCache`):
                Keys and values so far; these tokens are added.
            in_use (`object`):
                What else the model computes with, by its identity; kept as
                long as a graph that uses its tensors.

        Returns:
            `torch.Tensor`: float32, shape (rows, vocabulary).
        """
        if self._has_given_up:
            return self._step.scores(ids, positions, mask, cache)
        cache.reserve(1)
        self._check_buffers(cache)
        key = (len(ids), in_use)
        graph = self._graphs.pop(key, None)
        if graph is None:
            return self._uncaptured(key, ids, positions, mask, cache)
        self._graphs[key] = graph  # as the last one used
        scores = graph.scores(ids, positions, cache.end)
        cache.advance(1)
        return scores

    def _check_buffers(self, cache: "SlotCache") -> None:
        """Forget the graphs of buffers that are not the cache's any more."""
        keys = cache.layers[0].keys  # all layers move at once
        if self._buffer() is not keys:
            self.clear()
            # Not the buffer itself: the old one is gone before a new is made.
            self._buffer = weakref.ref(keys)

    def _uncaptured(
        self,
        key: _Key,
        ids: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor | None,
        cache: "SlotCache",
    ) -> torch.Tensor:
        """A plain step; before it, when it is time, the capture of those to
        come, which must give the same."""
        graph, found = None, None
        if self._has_lasted(key):
            try:
                graph = self._captured(ids, positions, cache)
                found = graph.scores(ids, positions, cache.end)
            except _REFUSALS as error:
                self._give_up(f"{type(error).__name__}: {error}")
        # Overwrites what the captured one wrote to the cache.
        expected = self._step.scores(ids, positions, mask, cache)
        if graph is not None and found is not None:
            if _are_close(found, expected):
                self._keep(key, graph)
            else:
                self._give_up("it gives other scores")
        return expected

    def _has_lasted(self, key: _Key) -> bool:
        """Whether there were enough plain steps of this kind in a row."""
        if key != self._last:
            self._last, self._count = key, 0
        self._count += 1
        return self._count > PLAIN_STEPS

    def _forget_count(self) -> None:
        self._last: _Key | None = None
        self._count = 0

    def _captured(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        cache: "SlotCache",
    ) -> _Graph:
        while len(self._graphs) >= MOST_GRAPHS:
            self._graphs.pop(next(iter(self._graphs)))
        ids, positions = ids.clone(), positions.clone()
        place = torch.tensor(cache.end, device=ids.device)
        fixed, step = FixedCache(cache, place), self._step

        def compute() -> torch.Tensor:
            return step.scores(ids, positions, fixed.mask(positions), fixed)

        with computed_blindly():
            compute()
        return _Graph(ids, positions, place, self._capture(compute))

    def _keep(self, key: _Key, graph: _Graph) -> None:
        self._graphs[key] = graph
        self._forget_count()

    def _give_up(self, reason: str) -> None:
        log.warning("steps of this model are not captured: %s", reason)
        self._has_given_up = True
        self.clear()


def _are_close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether all rows are; one that is not a number is not."""
    apart = (found - expected).norm(dim=1)
    return bool((apart <= MOST_APART * expected.norm(dim=1)).all())
