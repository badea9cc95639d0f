# -*- coding: utf-8 -*-
"""Names of a config that are no key of it, and what to say to who uses one.

Tables only: names that the program keeps to itself, names of earlier versions
and names of secrets. Raises nothing.
"""

from local_llm.lora_limits import REFUSED_FIELDS

TOP_LEVEL = "the top level of the entry"
"""Where most keys of a model stand; another place in some types of entries."""

PROGRAMS = {
    "huggingface": "conversation_with_agent_with_finetuned_model.py",
    "openai_chat": "conversation_with_agent_with_finetuned_model.py",
    "alpha_umi": "small_llms.py",
}
"""The program that runs the entries of a `model_type`."""

_UPLOADS = "this package uploads nothing; use `hf upload` on the output folder"
_RENDERS = "the package turns conversations into token ids itself"
_WRITTEN = "it is written when the adapter is saved"
_NO_EFFECT = "it has no effect here: `fine_tune` trains and evaluates"
_DEVICES = "the model lies whole on each device; use `accelerate launch`"
_ACCELERATE = "`accelerate launch` sets it"
_PREPARED = "the weights are not prepared for it here"
_LENGTH = "set fine_tune_config.max_seq_length"
_BEST = "the lowest held-out loss is the best"
_WORKERS = (
    "the rows are in memory, and a resume repeats the order of one process"
)

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
        "ignore_data_skip": "a resumed run makes the steps it would have made",
        "save_only_model": "a checkpoint has all that a resume needs",
        "metric_for_best_model": _BEST,
        "greater_is_better": _BEST,
        "dataloader_num_workers": _WORKERS,
        "dataloader_prefetch_factor": _WORKERS,
        "dataloader_persistent_workers": _WORKERS,
        "dataloader_multiprocessing_context": _WORKERS,
        "auto_find_batch_size": "it changes the run without saying so",
        "logging_nan_inf_filter": "a loss that is not finite stops the run",
        "deepspeed": _DEVICES,
        "fsdp": _DEVICES,
        "fsdp_config": _DEVICES,
        "parallelism_config": _DEVICES,
        "accelerator_config": _ACCELERATE,
        "local_rank": _ACCELERATE,
    },
    "lora_config": {
        "base_model_name_or_path": _WRITTEN,
        "revision": "set revision at the top level of the entry",
        "auto_mapping": _WRITTEN,
        "peft_version": _WRITTEN,
        "inference_mode": "an adapter in inference mode does not train",
        "loftq_config": _PREPARED,
        "megatron_core": "the models here are not those of Megatron",
        **REFUSED_FIELDS,
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
