# -*- coding: utf-8 -*-
"""What the values of a config mean and between which bounds they lie.

Tables only; checks and the generated reference both read them. Raises nothing.
"""

from typing import Any

from local_llm.settings_rules import Rule

EMBEDDED_MODELS = ("embedded:gemma-3-270m",)
DATA_FORMATS = (
    *("messages", "lima", "sharegpt", "alpaca", "prompt_completion", "text"),
)
DATA_COLUMNS = (
    *("messages", "tools", "conversations", "system", "instruction", "output"),
    *("input", "history", "prompt", "completion", "text"),
)
DTYPES = ("float32", "float16", "bfloat16")
HIGHEST_SEED = 2**32 - 1


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
_BELOW_1 = "below 1 a share of all steps"
_FORMAT: dict[str, Any] = {"choices": DATA_FORMATS}

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
            "a folder with safetensors or with an adapter, or a `.gguf` file",
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
            "training data: a hub dataset, a file or a folder, or a list of "
            "them, see below; given, the model is fine-tuned when it is "
            "loaded",
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
        "fast_head": Rule(
            "on a CPU, replies take the logits from an 8-bit copy of a wide "
            "head (32 million weights and more), and the 64 likeliest from "
            "the exact one; training is exact either way",
        ),
        "keep_quantized": Rule(
            "4-bit weights are kept in the cache, about a third of the "
            "model's size, and read from there at the next load",
        ),
        "cuda_graphs": Rule(
            "on a CUDA device, the steps of running replies are captured "
            "as CUDA graphs and replayed; tested on a CPU with the capture "
            "replaced, not yet run on a GPU",
        ),
    },
    "data_source": {
        "path": Rule("a hub dataset, a file or a folder", **_TEXT),
        "config": Rule("the config of a hub dataset", **_TEXT),
        "split": Rule(
            "the split of a hub dataset or of a saved one; null takes train",
            **_TEXT,
        ),
        "revision": Rule(
            "branch, tag or commit of the hub's repository",
            **_TEXT,
        ),
        "weight": Rule(
            "how often its training rows count in an epoch: 0.5 takes half "
            "of them, 2 each twice",
            above=0,
            maximum=100,
        ),
        "data_format": Rule(
            "as in `fine_tune_config`, for this one", **_FORMAT
        ),
        "columns": Rule("as in `fine_tune_config`, for this one"),
    },
    "generation": {
        "do_sample": Rule("draw tokens at random; false takes the likeliest"),
        "temperature": Rule(
            "how freely they are drawn",
            minimum=0.01,
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
        "request_timeout_s": Rule(
            "seconds a reply may take",
            above=0,
            maximum=604_800,  # a week; a lock waits no 300 years
        ),
        "stop": Rule("texts that end a reply and are not in it"),
        "thinking_enable": Rule(
            "whether the model thinks before it answers, where its chat "
            "template has a switch for that; null leaves it to the template",
        ),
    },
    "fine_tune_config": {
        "lora_config": Rule(
            "low-rank adapters; null trains every weight, see below",
        ),
        "training_args": Rule("how training runs, see below"),
        "bnb_config": Rule(
            "how weights are quantized; null is 4-bit NF4, {} leaves them, "
            "see below",
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
            "and after; no row changes sides when others are added",
            minimum=0,
            below=0.5,
        ),
        "held_out_rows": Rule(
            "so many rows instead of a share; some may change sides when "
            "rows are added",
            minimum=0,
        ),
        "strict_data": Rule(
            "stop at the first row that would be left out, also for its "
            "length",
        ),
        "merge_same_role": Rule(
            "join turns in a row by one speaker; false refuses them",
        ),
        "early_stopping_patience": Rule(
            "end where so many evaluations in a row brought no lower "
            "held-out loss; null never does",
            minimum=1,
        ),
        "data_format": Rule(
            "the format of every row; null detects it row by row",
            **_FORMAT,
        ),
        "columns": Rule(
            "the data's own names of columns, by those of the format, such "
            'as `{"instruction": "question"}`',
        ),
    },
    "training_args": {
        "bf16": Rule("compute in bfloat16, on hardware that has it"),
        "fp16": Rule("compute in float16, on a GPU"),
        "gradient_checkpointing": Rule("less memory, slower steps"),
        "packing": Rule("several rows in one sequence"),
        "packing_strategy": Rule(
            "how rows are put together, never cut into one another",
            choices=("bfd", "bfd_split"),
        ),
        "padding_free": Rule("a batch as one sequence, without padding"),
        "eval_strategy": Rule("when the held-out loss is measured"),
        "save_strategy": Rule("when a checkpoint is saved"),
        "load_best_model_at_end": Rule(
            "keep the weights of the lowest held-out loss",
        ),
        "report_to": Rule("services that record the run"),
        "learning_rate": Rule("the highest step size", above=0, maximum=1),
        "lr_scheduler_type": Rule("how the step size changes"),
        "warmup_steps": Rule(
            f"steps of a rising step size; {_BELOW_1}",
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
        "eval_steps": Rule(
            f"steps between two evaluations; {_BELOW_1}",
            **_STEPS,
        ),
        "save_steps": Rule(
            f"steps between two checkpoints; {_BELOW_1}",
            **_STEPS,
        ),
        "save_total_limit": Rule("checkpoints that are kept", minimum=1),
        "eval_delay": Rule("epochs or steps before the first", minimum=0),
        "eval_accumulation_steps": Rule(
            "evaluated batches that stay on the device",
            minimum=1,
        ),
        "torch_empty_cache_steps": Rule(
            "steps between two releases of unused memory",
            minimum=1,
        ),
        "pad_to_multiple_of": Rule("lengths are rounded up to it", minimum=1),
        "dataset_num_proc": Rule("processes that prepare rows", minimum=1),
        "optim_args": Rule(
            "arguments of the optimizer",
            pattern=r"[A-Za-z0-9_]+=[^=,]+(?:,[A-Za-z0-9_]+=[^=,]+)*",
            words="text such as 'betas=0.9,eps=1e-8'",
        ),
        "ddp_bucket_cap_mb": Rule("gradients sent at once", minimum=1),
        "ddp_timeout": Rule("seconds one process waits", minimum=1),
        "seed": Rule("makes training repeatable", **_SEED),
        "data_seed": Rule("order of the rows", **_SEED),
    },
    "lora_config": {
        "r": Rule("rank of the adapter's matrices", minimum=1, maximum=8192),
        "lora_alpha": Rule("scale of the adapter, over r", above=0),
        "lora_dropout": Rule("share of inputs dropped", minimum=0, below=1),
        "target_modules": Rule(
            'the layers that get one; "all-linear" for every linear layer',
        ),
        "bias": Rule("those of the base stay", choices=("none",)),
        "init_lora_weights": Rule(
            "how the adapter's matrices begin",
            pattern="gaussian",
            words="true, false or 'gaussian'",
        ),
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
