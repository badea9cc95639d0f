# -*- coding: utf-8 -*-
"""What the values of a config mean and between which bounds they lie.

Tables only: meanings and ranges, names that the program keeps to itself, and
names of earlier versions. Checks and the generated reference both read them.
"""

import re
from dataclasses import dataclass
from typing import Any

EMBEDDED_MODELS = ("embedded:gemma-3-270m",)
DTYPES = ("float32", "float16", "bfloat16")
HIGHEST_SEED = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Rule:
    """The meaning of a key, and the values it may have.

    Args:
        meaning (`str`): What it does, in half a sentence.
        minimum (`float | None`, optional): The lowest value.
        above (`float | None`, optional): A bound that is not reached.
        maximum (`float | None`, optional): The highest value.
        below (`float | None`, optional): A bound that is not reached.
        also (`tuple[int, ...]`, optional): Values outside those bounds.
        choices (`tuple[str, ...]`, optional): The only strings.
        pattern (`str`, optional): What a string matches as a whole.
        words (`str`, optional): The pattern in words.
    """

    meaning: str
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    below: float | None = None
    also: tuple[int, ...] = ()
    choices: tuple[str, ...] = ()
    pattern: str = ""
    words: str = ""

    def allows(self, value: object) -> bool:
        """Whether a value of the right type lies in the range.

        Args:
            value (`object`): Strings and numbers are judged; the rest
                passes, unless there are choices.
        """
        if isinstance(value, str):
            return self._allows_text(value)
        if self.choices:
            return value is None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return True
        return value in self.also or (
            (self.minimum is None or value >= self.minimum)
            and (self.above is None or value > self.above)
            and (self.maximum is None or value <= self.maximum)
            and (self.below is None or value < self.below)
        )

    def _allows_text(self, value: str) -> bool:
        if self.choices and value not in self.choices:
            return False
        return re.fullmatch(self.pattern or ".*", value, re.DOTALL) is not None

    def range(self) -> str:
        """The range in words; empty where every value of the type is fine."""
        if self.words:
            return self.words
        if self.choices:
            several = "one of " if self.choices[1:] else ""
            return several + ", ".join(repr(text) for text in self.choices)
        bounds = (
            ("at least", self.minimum),
            ("above", self.above),
            ("at most", self.maximum),
            ("below", self.below),
        )
        parts = [f"{word} {n}" for word, n in bounds if n is not None]
        text = " and ".join(parts)
        others = "".join(f"{value} or " for value in self.also)
        return others + text

    def schema(self) -> dict[str, Any]:
        """The range as JSON Schema keywords."""
        bounds = {
            "minimum": self.minimum,
            "exclusiveMinimum": self.above,
            "maximum": self.maximum,
            "exclusiveMaximum": self.below,
        }
        found: dict[str, Any] = {
            k: v for k, v in bounds.items() if v is not None
        }
        if self.also:
            found = {"anyOf": [{"enum": list(self.also)}, found]}
        if self.pattern:
            found["pattern"] = f"^(?:{self.pattern})$"
        return found


# Patterns are read by Python and, in the schema, by editors: no `\w`, `\d`.
_TEXT: dict[str, Any] = {
    "pattern": r"[\s\S]*\S[\s\S]*",
    "words": "text that is not blank",
}
_HUB_ID = (
    r"(?![\s\S]*\.gguf$)"
    r"(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,95}"
)
_SEED: dict[str, Any] = {"minimum": 0, "maximum": HIGHEST_SEED}
_STEPS: dict[str, Any] = {"above": 0}

RULES: dict[str, dict[str, Rule]] = {
    "entry": {
        "config_name": Rule(
            "the name by which programs choose this entry",
            pattern=r"(?!\.+$)[A-Za-z0-9_.-]{1,64}",
            words="1 to 64 letters, digits, '-', '_' or '.', not dots alone",
        ),
        "model_type": Rule("marks the entries that this package reads"),
        "pretrained_model_name_or_path": Rule(
            "the model: a repository of the Hugging Face hub, or the one "
            "that comes with the package; this or `local_model_path`",
            pattern="|".join((*EMBEDDED_MODELS, _HUB_ID)),
            words="a hub id such as 'google/gemma-7b', or "
            + " or ".join(repr(name) for name in EMBEDDED_MODELS)
            + " (a folder or file goes in local_model_path)",
        ),
        "revision": Rule(
            "branch, tag or commit of the hub's repository",
            **_TEXT,
        ),
        "local_model_path": Rule(
            "a folder with safetensors, or a `.gguf` file",
            **_TEXT,
        ),
        "local_tokenizer_path": Rule(
            "a folder with a tokenizer, where it is not beside the model",
            **_TEXT,
        ),
        "max_length": Rule("new tokens of a reply", minimum=1, maximum=32768),
        "device": Rule(
            "where the model runs; null chooses",
            pattern=r"cpu|mps|cuda(?::[0-9]{1,3})?",
            words="'cpu', 'cuda', 'cuda:N' or 'mps'",
        ),
        "data_path": Rule(
            "training data: a hub dataset, a file or a folder; given, the "
            "model is fine-tuned when it is loaded",
            **_TEXT,
        ),
        "output_dir": Rule("where a fine-tuning run is kept", **_TEXT),
        "fine_tune_config": Rule("how it is fine-tuned, see below"),
        "generation": Rule("how replies are chosen, see below"),
        "system_prompt": Rule("what every conversation starts from"),
        "demonstration_prompts": Rule(
            "asked before and after fine-tuning, to compare",
        ),
        "stream": Rule("whether replies arrive piece by piece"),
        "context_size": Rule(
            "tokens of prompt and reply together; null asks the model",
            minimum=2,
        ),
    },
    "generation": {
        "do_sample": Rule("draw tokens at random; false takes the likeliest"),
        "temperature": Rule(
            "how freely they are drawn",
            above=0,
            maximum=2,
        ),
        "top_p": Rule(
            "draw among the likeliest tokens of this total probability",
            above=0,
            maximum=1,
        ),
        "top_k": Rule("draw among so many tokens; 0 is all", minimum=0),
        "repetition_penalty": Rule(
            "makes used tokens less likely; 1 is off",
            minimum=1,
            maximum=2,
        ),
        "no_repeat_ngram_size": Rule(
            "never repeat a run of so many tokens; 0 is off",
            minimum=0,
        ),
        "seed": Rule("makes random replies repeatable", **_SEED),
        "request_timeout_s": Rule("seconds a reply may take", above=0),
    },
    "fine_tune_config": {
        "lora_config": Rule(
            "low-rank adapters; null trains every weight, see below",
        ),
        "training_args": Rule("how training runs, see below"),
        "bnb_config": Rule(
            "how weights are quantized; null leaves them, see below",
        ),
        "max_seq_length": Rule(
            "tokens of a training row at most",
            minimum=16,
        ),
        "continue_lora_finetuning": Rule(
            "train the adapter in use further, not a fresh one",
        ),
        "held_out_share": Rule(
            "share of the rows kept out of training, for the loss before "
            "and after",
            minimum=0,
            below=0.5,
        ),
        "held_out_rows": Rule(
            "so many rows instead of a share",
            minimum=0,
        ),
        "strict_data": Rule("stop at the first bad row, do not drop it"),
        "merge_same_role": Rule(
            "join turns in a row by one speaker; false refuses them",
        ),
    },
    "training_args": {
        "bf16": Rule("compute in bfloat16, on hardware that has it"),
        "fp16": Rule("compute in float16, on a GPU"),
        "gradient_checkpointing": Rule("less memory, slower steps"),
        "packing": Rule("several rows in one sequence"),
        "padding_free": Rule("a batch as one sequence, without padding"),
        "eval_strategy": Rule("when the held-out loss is measured"),
        "save_strategy": Rule("when a checkpoint is saved"),
        "load_best_model_at_end": Rule("keep the checkpoint of least loss"),
        "report_to": Rule("services that record the run"),
        "learning_rate": Rule("the highest step size", above=0, maximum=1),
        "lr_scheduler_type": Rule("how the step size changes"),
        "warmup_steps": Rule(
            "steps of a rising step size; below 1 a share of all steps",
            minimum=0,
        ),
        "num_train_epochs": Rule("passes over the data", above=0),
        "max_steps": Rule(
            "steps in all, instead of epochs; -1 counts epochs",
            minimum=1,
            also=(-1,),
        ),
        "per_device_train_batch_size": Rule("rows at once", minimum=1),
        "per_device_eval_batch_size": Rule(
            "rows at once when measuring the loss",
            minimum=1,
        ),
        "gradient_accumulation_steps": Rule(
            "batches that make one step",
            minimum=1,
        ),
        "weight_decay": Rule("pulls weights to zero", minimum=0),
        "adam_beta1": Rule("memory of the mean", minimum=0, below=1),
        "adam_beta2": Rule("memory of the square", minimum=0, below=1),
        "adam_epsilon": Rule("keeps Adam from dividing by zero", above=0),
        "max_grad_norm": Rule("clips gradients; 0 is off", minimum=0),
        "label_smoothing_factor": Rule("softens labels", minimum=0, below=1),
        "neftune_noise_alpha": Rule("noise on embeddings", minimum=0),
        "logging_steps": Rule("steps between two losses", **_STEPS),
        "eval_steps": Rule("steps between two evaluations", **_STEPS),
        "save_steps": Rule("steps between two checkpoints", **_STEPS),
        "save_total_limit": Rule("checkpoints that are kept", minimum=1),
        "dataloader_num_workers": Rule("processes that load data", minimum=0),
        "seed": Rule("makes training repeatable", **_SEED),
        "data_seed": Rule("order of the rows", **_SEED),
    },
    "lora_config": {
        "r": Rule("rank of the adapter's matrices", minimum=1),
        "lora_alpha": Rule("scale of the adapter, over r", above=0),
        "lora_dropout": Rule("share of inputs dropped", minimum=0, below=1),
        "target_modules": Rule(
            'the layers that get one; "all-linear" for every linear layer',
        ),
        "bias": Rule("which biases train"),
        "task_type": Rule("the only task here", choices=("CAUSAL_LM",)),
        "peft_type": Rule("the only method here", choices=("LORA",)),
        "qalora_group_size": Rule("group of QALoRA", minimum=1),
    },
    "bnb_config": {
        "load_in_4bit": Rule("keep weights in 4 bits"),
        "load_in_8bit": Rule("keep weights in 8 bits"),
        "bnb_4bit_use_double_quant": Rule("quantize the scales as well"),
        "llm_int8_threshold": Rule("outliers kept in 16 bits", minimum=0),
        "bnb_4bit_quant_type": Rule(
            "the 4-bit numbers",
            choices=("nf4", "fp4"),
        ),
        "bnb_4bit_compute_dtype": Rule(
            "type in which 4-bit layers compute",
            choices=DTYPES,
        ),
        "bnb_4bit_quant_storage": Rule(
            "type in which 4-bit weights are kept",
            choices=(*DTYPES, "uint8", "int8", "float64"),
        ),
    },
}

_UPLOADS = "this package uploads nothing; use `hf upload` on the output folder"
_RENDERS = "the package turns conversations into token ids itself"
_WRITTEN = "it is written when the adapter is saved"
_NO_EFFECT = "it has no effect here: `fine_tune` trains and evaluates"
_LENGTH = "set fine_tune_config.max_seq_length"

RESERVED: dict[str, dict[str, str]] = {
    "training_args": {
        "output_dir": "set output_dir at the top level of the entry",
        "max_length": _LENGTH,
        "use_cpu": "set device at the top level of the entry",
        "push_to_hub": _UPLOADS,
        "hub_model_id": _UPLOADS,
        "hub_strategy": _UPLOADS,
        "hub_private_repo": _UPLOADS,
        "hub_always_push": _UPLOADS,
        "hub_revision": _UPLOADS,
        "trust_remote_code": "a repository's own code is never run",
        "model_init_kwargs": "the package loads the model itself",
        "chat_template_path": _RENDERS,
        "dataset_text_field": _RENDERS,
        "dataset_kwargs": _RENDERS,
        "assistant_only_loss": _RENDERS,
        "completion_only_loss": _RENDERS,
        "eos_token": "the template's end of turn is used",
        "pad_token": "the tokenizer's own is used",
        "do_train": _NO_EFFECT,
        "do_eval": _NO_EFFECT,
        "do_predict": _NO_EFFECT,
        "resume_from_checkpoint": "a run is resumed by the program",
        "auto_find_batch_size": "it changes the run without saying so",
        "logging_nan_inf_filter": "a loss that is not finite stops the run",
    },
    "lora_config": {
        "base_model_name_or_path": _WRITTEN,
        "revision": "set revision at the top level of the entry",
        "auto_mapping": _WRITTEN,
        "peft_version": _WRITTEN,
        "inference_mode": "an adapter in inference mode does not train",
    },
}

OLD_NAMES: dict[str, dict[str, str]] = {
    "entry": {
        "model_id": "pretrained_model_name_or_path",
        "model_name": "pretrained_model_name_or_path",
        "model_path": "local_model_path",
        "tokenizer_path": "local_tokenizer_path",
        "max_new_tokens": "max_length",
        "max_tokens": "max_length",
        "generate_args": "generation",
    },
    "generation": {
        "max_new_tokens": "max_length at the top level of the entry",
        "max_tokens": "max_length at the top level of the entry",
    },
    "fine_tune_config": {"max_length": "max_seq_length"},
    "training_args": {
        "max_seq_length": "fine_tune_config.max_seq_length",
        "tokenizer": "processing_class, which the package sets itself",
        "evaluation_strategy": "eval_strategy",
        "warmup_ratio": "warmup_steps, below 1 a share of all steps",
        "no_cuda": "device at the top level of the entry",
        "use_mps_device": "device at the top level of the entry",
        "per_gpu_train_batch_size": "per_device_train_batch_size",
        "per_gpu_eval_batch_size": "per_device_eval_batch_size",
        "group_by_length": 'train_sampling_strategy: "group_by_length"',
        "num_of_sequences": "packing",
        "peft_config": "fine_tune_config.lora_config",
    },
    "lora_config": {
        "alpha": "lora_alpha",
        "rank": "r",
        "dropout": "lora_dropout",
    },
    "bnb_config": {
        "bnb_4bit_double_quant": "bnb_4bit_use_double_quant",
        "quant_type": "bnb_4bit_quant_type",
    },
}

SECRET_KEYS = frozenset(
    {
        "token",
        "hub_token",
        "hf_token",
        "huggingface_token",
        "push_to_hub_token",
        "use_auth_token",
        "auth_token",
        "access_token",
        "api_key",
        "password",
        "secret",
    },
)
