# -*- coding: utf-8 -*-
"""Generates replies, many at once, in one worker thread for each model.

First come, first served: a request joins the replies that are running when
there is room, and leaves them when it is over or nobody wants it any more.
Requests whose adapters cannot share a batch take turns. Every error reaches
the one who asked. Knows no turns and no AgentScope. Raises GenerationError.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue

import torch

from .adapter_layers import is_low_rank_only, use_adapter
from .adapters import active_adapter, use_weights_for_replies
from .base_model import BaseModel
from .decoder import Decoder
from .errors import GenerationError
from .graph_capture import Capture, capture_on
from .lora_rows import LoraRows
from .prefix_cache import PrefixCache
from .reply_batch import ReplyBatch
from .reply_requests import (
    Delivery,
    Failure,
    FinishReason,
    Piece,
    Request,
    Sampling,
)
from .reply_rows import ReplyRow, attempt
from .step_graphs import StepGraphs

__all__ = [
    "Delivery",
    "Failure",
    "FinishReason",
    "GenerationEngine",
    "MAX_WAITING",
    "Piece",
    "Request",
    "Sampling",
    "engine_of",
]

UseAdapters = Callable[[Sequence[str | None]], object]

MAX_WAITING = 64
"""Requests that may wait for one model; the next one is refused."""

_PART_TOKENS_ON_CPU = 64
_PART_TOKENS_ON_GPU = 256
"""Of a prompt, read at once: others wait meanwhile, on two cores 0.3 s for 64
tokens of a small model. What prompts begin with is kept in such parts."""


class GenerationEngine:
    """The worker of one base model.

    A thread that dies fails the requests it had; the next one gets a new
    thread.

    Args:
        base (`BaseModel`):
            The model to generate with.
        capture (`Capture | None`, optional):
            Captures the steps of running replies; None runs each anew.

    Attributes:
        prefixes (`PrefixCache`):
            What prompts began with; counts the tokens that it has spared.
    """

    def __init__(
        self,
        base: BaseModel,
        capture: Capture | None = None,
    ) -> None:
        self.base = base
        self._graphs = StepGraphs(base.model, capture) if capture else None
        on_cpu = base.device.type == "cpu"
        self.prefixes = PrefixCache(
            _PART_TOKENS_ON_CPU if on_cpu else _PART_TOKENS_ON_GPU,
        )
        self._known_state: object = None
        self._alone: dict[str | None, str | None] = {}
        self._lora_rows: LoraRows | None = None
        self._guard = threading.Lock()
        self._waiting: deque[ReplyRow] = deque()
        self._unfinished: list[ReplyRow] = []
        self._is_serving = False
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="generation")

    def submit(self, request: Request) -> None:
        """Queue a request; returns at once.

        Raises:
            `GenerationError`: The prompt does not fit, fine-tuning is in
                progress, or too many requests wait.
        """
        self.base.lock.refuse_while_training()
        self._check_fits(request)
        row = ReplyRow(self.base, request)
        with self._guard:
            if len(self._waiting) >= MAX_WAITING:
                raise GenerationError(
                    f"busy: {MAX_WAITING} requests are waiting",
                    fix="ask again later",
                )
            self._waiting.append(row)
            was_serving, self._is_serving = self._is_serving, True
        if not was_serving:
            serving = self._worker.submit(self._serve)
            serving.add_done_callback(self._ended)

    def stream(self, request: Request) -> Iterator[Piece]:
        """Generate in the worker and give the pieces to this thread.

        The request's own `deliver` is not used. Leaving the loop early
        cancels the request.
        """
        inbox: SimpleQueue[Delivery] = SimpleQueue()
        request.deliver = inbox.put
        self.submit(request)
        try:
            while True:
                piece = _next_delivery(inbox, request.timeout_s)
                if isinstance(piece, Failure):
                    raise piece.error
                yield piece
                if piece.finish_reason is not None:
                    return
        finally:
            request.cancelled.set()

    def _check_fits(self, request: Request) -> None:
        """A prompt that leaves no room for a reply is refused, never cut."""
        size = self.base.context_size
        if len(request.prompt_ids) >= size:
            raise GenerationError(
                f"the prompt has {len(request.prompt_ids)} tokens, the "
                f"context of {self.base.name} only {size}",
                fix="shorten the conversation or the system prompt",
            )

    # -- in the worker -----------------------------------------------------

    def _serve(self) -> None:
        """Reply until nobody waits."""
        while (first := self._first_waiting()) is not None:
            self._unfinished = [first]
            attempt(self._unfinished, partial(self._serve_like, first))

    def _first_waiting(self) -> ReplyRow | None:
        with self._guard:
            while self._waiting and self._waiting[0].is_over:
                self._waiting.popleft()
            self._is_serving = bool(self._waiting)
            return self._waiting[0] if self._waiting else None

    def _serve_like(self, first: ReplyRow) -> None:
        """Reply to all who can share a batch with one of them, as they
        come."""
        base = self.base
        with base.lock.generating(first.request.timeout_s):
            alone = self._alone_with(first.request.adapter)
            use_weights_for_replies(base, alone)
            with torch.inference_mode():
                if alone is None:
                    self._run_together()
                    return
                with active_adapter(base, alone):
                    self._run_batch(alone, lambda rows: None)

    def _run_together(self) -> None:
        """Reply with adapters that share a batch; peft's own are off."""
        if self._lora_rows is None:
            use_adapter(self.base.model, None)
            self._lora_rows = LoraRows(self.base.model)
        with self._lora_rows.attached():
            self._run_batch(None, self._lora_rows.use)

    def _run_batch(self, alone: str | None, use_adapters: UseAdapters) -> None:
        decoder = Decoder(
            self.base.model, use_adapters, self.prefixes, self._graphs
        )
        next_row = partial(self._next_like, alone)
        ReplyBatch(decoder, next_row, self._check_waiting).run()

    def _next_like(self, alone: str | None) -> ReplyRow | None:
        """The first in the queue, if it can share the batch that runs; who
        wants to change the model comes before it."""
        with self._guard:
            first = self._waiting[0] if self._waiting else None
        if first is None or self.base.lock.is_wanted:
            return None
        if self._alone_with(first.request.adapter) != alone:
            return None
        with self._guard:
            self._waiting.popleft()
        self._unfinished[:] = [
            row for row in (*self._unfinished, first) if not row.is_over
        ]
        return first

    def _check_waiting(self) -> None:
        """Answer those in the queue who do not want to wait any more."""
        with self._guard:
            waiting = list(self._waiting)
        for row in waiting:
            attempt([row], row.check_time)
        with self._guard:
            kept = [row for row in self._waiting if not row.is_over]
            self._waiting = deque(kept)

    def _alone_with(self, adapter: str | None) -> str | None:
        """An adapter that shares a batch with no other, None for those that
        do."""
        self._forget_what_has_changed()
        if adapter not in self._alone:
            shares = adapter is None or is_low_rank_only(
                self.base.model, adapter
            )
            self._alone[adapter] = None if shares else adapter
        return self._alone[adapter]

    def _forget_what_has_changed(self) -> None:
        """Nothing stays known of adapters and prompts after somebody had the
        model to change it, or has given it another tokenizer."""
        state = (self.base.lock.changes, self.base.chat_format)
        if state != self._known_state:
            self._known_state = state
            self._alone.clear()
            self._lora_rows = None
            self.prefixes.clear()

    def _ended(self, serving: "Future[None]") -> None:
        """Tell everybody, where something has ended the worker itself."""
        error = serving.exception()
        if error is None:
            return
        with self._guard:
            rows = [*self._unfinished, *self._waiting]
            self._waiting.clear()
            self._is_serving = False
        for row in rows:
            row.fail(_died(error))


_engines_lock = threading.Lock()


def engine_of(base: BaseModel) -> GenerationEngine:
    """The one engine of a base model; made on the first call."""
    with _engines_lock:
        engine = base.engine
        if engine is None:
            capture = capture_on(base.device) if base.cuda_graphs else None
            engine = base.engine = GenerationEngine(base, capture)
        return engine


def _next_delivery(
    inbox: "SimpleQueue[Delivery]",
    timeout_s: float,
) -> Delivery:
    try:
        # Longer than the request's own limit, which ends it first.
        return inbox.get(timeout=timeout_s + 60)
    except Empty as error:
        raise GenerationError(
            f"the model gave no answer for {timeout_s + 60:.0f} s",
        ) from error


def _died(error: BaseException) -> GenerationError:
    failure = GenerationError(
        f"the worker has died: {type(error).__name__}: {error}",
        fix="ask again; the next request gets a new worker",
    )
    failure.__cause__ = error
    return failure
