# -*- coding: utf-8 -*-
"""trl's SFTTrainer, with an honest loss, exact checkpoints and a history.

Rows come as ids and labels; nothing is rendered here, and no file is written
but through the writer that the caller gives. Raises TrainingError and
CheckpointError.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from torch.utils.data import DataLoader, Sampler
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import ExportableState
from transformers.trainer_pt_utils import get_length_grouped_indices
from trl import SFTConfig, SFTTrainer

from . import processes
from .errors import CheckpointError, TrainingError
from .finite_guard import check_weights
from .labelled_loss import IGNORED, add_labelled_loss, is_wanted
from .shared_batches import AlsoOfNothing, share_batches
from .trained_weights import TrainedWeights, write_tensors
from .training_history import TrainingHistory

WEIGHTS_FILE = "weights.safetensors"
BEST_WEIGHTS_FILE = "best_weights.safetensors"

Rows = list[dict[str, list[int]]]
Commit = Callable[[int, Callable[[Path], None]], None]
"""Gives a step and what writes a checkpoint of it into a folder."""


class ChatTrainer(SFTTrainer):
    """SFTTrainer that keeps the loss of each step and resumes exactly.

    Args:
        weights (`TrainedWeights`):
            What is trained.
        arguments (`SFTConfig`):
            How.
        rows, held_out (`Rows`):
            `input_ids` and `labels` of each row.
        history (`TrainingHistory`):
            What happened before; it grows.
        keeps_best (`bool`):
            Whether the weights with the lowest held-out loss are kept.
        commit (`Commit`):
            Called for each checkpoint, in the main process alone.

    Attributes:
        best_weights (`dict[str, torch.Tensor] | None`):
            The weights with the lowest held-out loss, where those are kept.
    """

    def __init__(
        self,
        weights: TrainedWeights,
        arguments: SFTConfig,
        rows: Dataset,
        held_out: Rows,
        history: TrainingHistory,
        keeps_best: bool,
        commit: Commit,
    ) -> None:
        self.weights = weights
        self.history = history
        self.held_out = held_out
        self.best_weights: dict[str, torch.Tensor] | None = None
        self._keeps_best = keeps_best
        self._commit = commit
        self._step_loss = torch.zeros(())
        self._step_tokens = 0
        super().__init__(
            model=weights.module,
            args=arguments,
            train_dataset=rows,
            # transformers wants some data where evaluations are asked for.
            eval_dataset=Dataset.from_list(held_out) if held_out else None,
            processing_class=weights.base.tokenizer,
        )
        self.data_collator = AlsoOfNothing(self.data_collator)
        causal_lm = weights.base.model
        self._costs_labelled_tokens_only = (
            is_wanted(causal_lm)
            and arguments.loss_type == "nll"
            and not arguments.label_smoothing_factor
        )
        if self._costs_labelled_tokens_only:
            add_labelled_loss(causal_lm)

    def _send_telemetry(self) -> None:
        """Nothing: that a machine trains is its owner's business."""

    # -- loss --------------------------------------------------------------

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        """The mean over the labelled tokens of the optimizer step.

        In training with several processes each gets its share of it times
        their number, since the average of their gradients is taken.
        """
        if self._costs_labelled_tokens_only:
            count = num_items_in_batch
            if count is None:
                count = _labelled(inputs)
            loss = model(**inputs, labelled_count=count)["loss"]
            if num_items_in_batch is not None and self._counts_all_tokens:
                loss = loss * self.accelerator.num_processes
        else:
            loss = super().compute_loss(
                model,
                inputs,
                num_items_in_batch=num_items_in_batch,
            )
        if not torch.isfinite(loss.detach()):
            raise TrainingError(
                f"the loss is {loss.item()} at step "
                f"{self.state.global_step + 1}",
                fix="lower learning_rate, or compute in bfloat16 or float32",
            )
        return loss

    @property
    def _counts_all_tokens(self) -> bool:
        """Whether the tokens of a step are those of all processes."""
        return self.args.average_tokens_across_devices

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """One micro-batch, whose loss and tokens are counted."""
        inputs = args[1]
        padding = self.data_collator.pad_token_id
        self._step_tokens += int((inputs["input_ids"] != padding).sum())
        loss = super().training_step(*args, **kwargs)
        self._step_loss = self._step_loss + loss.detach().cpu()
        return loss

    def finish_step(self, stop_requested: bool) -> tuple[float, bool]:
        """Close the account of an optimizer step, over all processes.

        Args:
            stop_requested (`bool`):
                Whether this process was asked to stop.

        Returns:
            `tuple[float, bool]`: The mean loss of the step's labelled tokens,
                and whether any process was asked to stop.
        """
        figures = torch.tensor(
            [self._step_loss.item(), self._step_tokens, stop_requested],
            dtype=torch.float64,
        )
        processes = self.accelerator.num_processes
        if processes > 1:
            on_device = figures.float().to(self.args.device)
            figures = self.accelerator.reduce(on_device, "sum").cpu().double()
        self._step_loss, self._step_tokens = torch.zeros(()), 0
        loss = (figures[0] / processes).item()
        self.history.tokens_seen += int(figures[1])
        self.history.losses.append((self.state.global_step, loss))
        return loss, bool(figures[2])

    # -- evaluation --------------------------------------------------------

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Measure the held-out loss; keep the weights if it is the best and
        those are wanted.

        Every process measures all rows. They agree on the number of the main
        one, since machines differ in the last digits and what follows from
        it must not.
        """
        own = self.mean_loss(self.held_out)
        loss = processes.from_main(lambda: own)
        step = self.state.global_step
        self.history.held_out_losses.append((step, loss))
        if self._keeps_best and self.history.best == (step, loss):
            self.best_weights = self.weights.copy()
        metrics = {"eval_loss": loss}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(
            self.args,
            self.state,
            self.control,
            metrics,
        )
        return metrics

    def mean_loss(self, rows: Rows) -> float:
        """The mean over all labelled tokens of rows."""
        was_training = self.model.training
        self.model.eval()
        total = count = 0.0
        loader = DataLoader(
            Dataset.from_list(rows),
            batch_size=self.args.eval_batch_size,
            collate_fn=self.data_collator,
        )
        # Outside of the generator of the run, whose state a resume restores.
        with torch.random.fork_rng([]), torch.no_grad():
            for inputs in loader:
                inputs = self._prepare_inputs(inputs)
                labelled = int(_labelled(inputs))
                with self.compute_loss_context_manager():
                    loss = self.compute_loss(self.model, inputs)
                total += loss.item() * labelled
                count += labelled
        self.model.train(was_training)
        return total / count

    # -- order of the rows -------------------------------------------------

    def get_train_dataloader(self) -> DataLoader:
        """Batches that are those of one process, shared out."""
        loader = super().get_train_dataloader()
        if self.args.world_size > 1:
            share_batches(loader)
        return loader

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Sampler | None:
        """Length-grouped batches in an order that a resume can repeat."""
        if self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(*args, **kwargs)
        return LengthGroupedSampler(
            [len(row) for row in self.train_dataset["input_ids"]],
            self.args.train_batch_size
            * self.args.gradient_accumulation_steps
            * self.args.world_size,
            self.args.seed,
        )

    # -- checkpoints -------------------------------------------------------

    def load_checkpoint(self, checkpoint: Path) -> None:
        """Stand where a checkpoint stands, without another step."""
        self._load_from_checkpoint(str(checkpoint))
        state = checkpoint / TRAINER_STATE_NAME
        self.state = type(self.state).load_from_json(str(state))

    def total_steps(self) -> int:
        """The optimizer steps of the whole run."""
        loader = self.get_train_dataloader()
        return self.set_initial_training_values(self.args, loader)[-1]

    def _load_from_checkpoint(
        self,
        resume_from_checkpoint: str,
        model: torch.nn.Module | None = None,
    ) -> None:
        folder = Path(resume_from_checkpoint)
        self.weights.put(self.weights.read(folder / WEIGHTS_FILE))
        best = folder / BEST_WEIGHTS_FILE
        # After a change of the data none of before is the best.
        if self.history.best is not None and best.is_file():
            self.best_weights = self.weights.read(best)

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        random_states = self._random_states_of_all()
        step = self.state.global_step
        check_weights(self.weights.parameters(), step)
        processes.from_main(
            lambda: self._commit(
                step,
                lambda folder: self._write_checkpoint(folder, random_states),
            ),
        )

    def _write_checkpoint(
        self,
        folder: Path,
        random_states: list[tuple[str, bytes]],
    ) -> None:
        write_tensors(self.weights.parameters(), folder / WEIGHTS_FILE)
        if self.best_weights is not None:
            write_tensors(self.best_weights, folder / BEST_WEIGHTS_FILE)
        self._save_optimizer_and_scheduler(str(folder))
        self._save_scaler(str(folder))
        for name, content in random_states:
            (folder / name).write_bytes(content)
        self.history.write(folder)
        self._refresh_callback_states()
        self.state.save_to_json(str(folder / TRAINER_STATE_NAME))

    def _random_states_of_all(self) -> list[tuple[str, bytes]]:
        """The files with the states of the generators of every process."""
        try:
            with tempfile.TemporaryDirectory() as folder:
                self._save_rng_state(folder)
                own = [
                    (file.name, file.read_bytes())
                    for file in Path(folder).iterdir()
                ]
        except (OSError, RuntimeError) as error:
            raise CheckpointError(
                f"cannot write in {tempfile.gettempdir()}: {error}",
                fix="free some disk space there, then go on with --resume: "
                "what was saved before is as it was",
            ) from error
        return gather_object(own)

    def _refresh_callback_states(self) -> None:
        callbacks = [*self.callback_handler.callbacks, self.control]
        for one in callbacks:
            if isinstance(one, ExportableState):
                name = type(one).__name__
                self.state.stateful_callbacks[name] = one.state()


class LengthGroupedSampler(Sampler):
    """Random order in which neighbours are about equally long.

    It follows from the seed and the epoch alone; the sampler of transformers
    follows from all that was drawn before, which no resume can repeat.

    Args:
        lengths (`Sequence[int]`):
            Tokens of each row.
        rows_of_a_step (`int`):
            How many rows one optimizer step takes.
        seed (`int`):
            For the random order.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        rows_of_a_step: int,
        seed: int,
    ) -> None:
        self._lengths = list(lengths)
        self._rows_of_a_step = rows_of_a_step
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + self._epoch)
        return iter(
            get_length_grouped_indices(
                self._lengths,
                self._rows_of_a_step,
                generator=generator,
            ),
        )


def _labelled(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """How many positions have a label to predict."""
    return (inputs["labels"][:, 1:] != IGNORED).sum()
