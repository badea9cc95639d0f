# -*- coding: utf-8 -*-
"""Generates replies, one after the other, in one worker thread per model.

Takes token ids and gives pieces of text. Adapter, seed, limits and the cancel
flag belong to the request; who stops reading sets the flag and the worker is
free within two tokens. Every error reaches the one who asked. Knows no turns
and no AgentScope. Raises GenerationError.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Literal

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.generation.streamers import BaseStreamer

from .adapters import active_adapter, use_weights_for_replies
from .base_model import BaseModel
from .constrained import grammar_mask
from .errors import GenerationError, LocalLLMError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

MAX_WAITING = 64
"""Requests that may wait for one model; the next one is refused."""

FinishReason = Literal["stop", "length", "cancelled", "timeout"]

_UNFINISHED_CHARACTER = "\ufffd"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen; the names are those of transformers."""

    do_sample: bool = False
    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 50
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a reply.

    Attributes:
        text (`str`):
            New text; the texts of all pieces together are the reply.
        output_tokens (`int`):
            Tokens generated so far.
        finish_reason (`FinishReason | None`):
            Set on the last piece.
    """

    text: str
    output_tokens: int
    finish_reason: FinishReason | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """What the one who asked gets instead of the next piece."""

    error: LocalLLMError


Delivery = Piece | Failure


@dataclass(eq=False)
class Request:
    """One reply to generate.

    Attributes:
        prompt_ids (`list[int]`):
            The prompt, shape (tokens,).
        deliver (`Callable[[Delivery], None]`):
            Called in the worker thread with each piece; must not block.
        max_new_tokens (`int`):
            The longest reply, in tokens.
        sampling (`Sampling`):
            How tokens are chosen.
        adapter (`str | None`):
            The adapter to use, None for the bare base model.
        timeout_s (`float`):
            From the submission to the last token, in seconds.
        cancelled (`threading.Event`):
            Set it to end the reply.
        grammar (`str | None`):
            What the reply follows, in the Lark syntax of llguidance; None for
            any text. Cut at `max_new_tokens`, it is only the beginning of
            what the grammar wants. Repeated n-grams are allowed in it.
    """

    prompt_ids: list[int]
    deliver: Callable[[Delivery], None]
    max_new_tokens: int = 256
    sampling: Sampling = Sampling()
    adapter: str | None = None
    timeout_s: float = 600.0
    cancelled: threading.Event = field(default_factory=threading.Event)
    grammar: str | None = None


class GenerationEngine:
    """The worker of one base model; first come, first served.

    Args:
        base (`BaseModel`):
            The model to generate with.
    """

    def __init__(self, base: BaseModel) -> None:
        self.base = base
        self._places = threading.BoundedSemaphore(MAX_WAITING)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="generation")

    def submit(self, request: Request) -> None:
        """Queue a request; returns at once.

        Raises:
            `GenerationError`: The prompt does not fit, fine-tuning is in
                progress, or too many requests wait.
        """
        self.base.lock.refuse_while_training()
        self._check_fits(request)
        if not self._places.acquire(blocking=False):
            raise GenerationError(
                f"busy: {MAX_WAITING} requests are waiting",
                fix="ask again later",
            )
        deadline = time.monotonic() + request.timeout_s
        self._worker.submit(self._serve, request, deadline)

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

    def _serve(self, request: Request, deadline: float) -> None:
        """Run one request; its errors go to the one who asked.

        One of the two places that catch everything: generate raises whatever
        the model, the kernels and the memory lead to.
        """
        try:
            if request.cancelled.is_set():
                request.deliver(Piece("", 0, "cancelled"))
                return
            with self.base.lock.generating(request.timeout_s):
                self._generate(request, deadline)
        except LocalLLMError as error:
            request.deliver(Failure(error))
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            request.deliver(Failure(_out_of_memory(request, error)))
        except Exception as error:  # noqa: BLE001
            log.debug("generation failed", exc_info=True)
            request.deliver(Failure(_failed(error)))
        finally:
            self._places.release()

    def _generate(self, request: Request, deadline: float) -> None:
        base = self.base
        streamer = _Deliverer(
            base.tokenizer, base.chat_format.stop_ids, request
        )
        stop = _Stop(request, deadline)
        masks = LogitsProcessorList()
        if request.grammar is not None:
            masks.append(grammar_mask(base, request.grammar))
        ids = torch.tensor([request.prompt_ids], device=base.device)
        use_weights_for_replies(base, request.adapter)
        with (
            active_adapter(base, request.adapter),
            _random_state(request.sampling.seed, base.device),
            torch.inference_mode(),
        ):
            base.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                generation_config=self._generation_config(request),
                logits_processor=masks,
                stopping_criteria=StoppingCriteriaList([stop]),
                streamer=streamer,
            )
        streamer.finish(stop.reason)

    def _generation_config(self, request: Request) -> GenerationConfig:
        room = self.base.context_size - len(request.prompt_ids)
        sampling = request.sampling
        names = ("temperature", "top_p", "top_k") if sampling.do_sample else ()
        # A grammar demands what was said before, quotes and commas at least.
        ngram = 0 if request.grammar else sampling.no_repeat_ngram_size
        return GenerationConfig(
            max_new_tokens=min(request.max_new_tokens, room),
            do_sample=sampling.do_sample,
            repetition_penalty=sampling.repetition_penalty,
            no_repeat_ngram_size=ngram,
            eos_token_id=list(self.base.chat_format.stop_ids),
            pad_token_id=self.base.tokenizer.pad_token_id,
            use_cache=True,
            **{name: getattr(sampling, name) for name in names},
        )


_engines_lock = threading.Lock()


def engine_of(base: BaseModel) -> GenerationEngine:
    """The one engine of a base model; made on the first call."""
    with _engines_lock:
        engine = base.engine
        if engine is None:
            engine = base.engine = GenerationEngine(base)
        return engine


class _Deliverer(BaseStreamer):
    """Turns tokens into text as they come and hands it on.

    Text is held back while its last character is unfinished, so the pieces
    together equal the decoded reply.
    """

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerBase",
        stop_ids: tuple[int, ...],
        request: Request,
    ) -> None:
        self._tokenizer = tokenizer
        self._stop_ids = stop_ids
        self._request = request
        self._ids: list[int] = []
        self._decoded_from = 0
        self._sent_to = 0
        self._count = 0
        self._stopped = False
        self._is_prompt = True

    def put(self, value: torch.Tensor) -> None:
        """Take the prompt, then one token after the other."""
        if self._is_prompt:
            self._is_prompt = False
            return
        self._count += 1
        token_id = int(value.reshape(-1)[-1])
        if token_id in self._stop_ids:
            self._stopped = True
            return
        self._ids.append(token_id)
        text = self._new_text()
        if text and not text.endswith(_UNFINISHED_CHARACTER):
            self._send(text)

    def end(self) -> None:
        """Nothing to do: `finish` knows the reason."""

    def finish(self, interrupted: FinishReason | None) -> None:
        """Send what was held back, and why the reply ended."""
        reason: FinishReason = (
            "stop" if self._stopped else interrupted or "length"
        )
        piece = Piece(self._new_text(), self._count, reason)
        self._request.deliver(piece)

    def _new_text(self) -> str:
        """What the tokens since the last send add.

        They are decoded together with those sent just before, because some
        tokenizers drop the space of a word that stands first.
        """
        before = self._decode(self._ids[self._decoded_from : self._sent_to])
        after = self._decode(self._ids[self._decoded_from :])
        return after[len(before) :]

    def _send(self, text: str) -> None:
        self._decoded_from = self._sent_to
        self._sent_to = len(self._ids)
        self._request.deliver(Piece(text, self._count))

    def _decode(self, ids: list[int]) -> str:
        return self._tokenizer.decode(
            ids,
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,
        )


class _Stop(StoppingCriteria):
    """Ends a reply that nobody wants any more or that takes too long."""

    def __init__(self, request: Request, deadline: float) -> None:
        self._request = request
        self._deadline = deadline
        self.reason: FinishReason | None = None

    def __call__(
        self,
        input_ids: torch.Tensor,
        scores: torch.Tensor,
        **kwargs: object,
    ) -> torch.Tensor:
        """Asked after each token; one answer for each row."""
        if self._request.cancelled.is_set():
            self.reason = "cancelled"
        elif time.monotonic() > self._deadline:
            self.reason = "timeout"
        return torch.full(
            (input_ids.shape[0],),
            self.reason is not None,
            device=input_ids.device,
        )


@contextlib.contextmanager
def _random_state(seed: int | None, device: torch.device) -> Iterator[None]:
    """Draw from a generator state of the request's own."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        if seed is None:
            torch.seed()
        else:
            torch.manual_seed(seed)
        yield


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


def _out_of_memory(request: Request, error: Exception) -> GenerationError:
    failure = GenerationError(
        f"out of memory at a prompt of {len(request.prompt_ids)} tokens",
        fix="shorten the conversation, lower max_length, or load in 4-bit",
    )
    failure.__cause__ = error
    return failure


def _failed(error: Exception) -> GenerationError:
    failure = GenerationError(
        f"the model could not reply: {type(error).__name__}: {error}",
    )
    failure.__cause__ = error
    return failure
