# -*- coding: utf-8 -*-
"""What the keys of an `alpha_umi` entry mean, their bounds, and what is not set.

Tables only; checks and the generated reference both read them. Raises nothing.
"""

from local_llm.library_fields import LIBRARIES
from local_llm.settings_names import RESERVED, TOP_LEVEL
from local_llm.settings_sections import Family
from local_llm.settings_values import RULES, Rule

READERS = (
    *("trajectories", "toolbench", "schema_guided", "star"),
    *("toolalpaca", "gsm8k"),
)
"""What `data_reader` may name."""

ROLES = ("planner", "caller", "summarizer")
STAGES = ("backbone", *ROLES)

_TRAINING = RULES["training_args"]
_AFTER = "how {} is trained after it, see below"
_NOT_BLANK = RULES["entry"]["data_path"]

TOOL_AGENT_RULES: dict[str, dict[str, Rule]] = {
    "alpha_umi": {
        "config_name": RULES["entry"]["config_name"],
        "model_type": Rule("marks the entries that `small_llms.py` runs"),
        "model": Rule("the base of all roles, see below"),
        "data_path": Rule(
            "a file or a folder of trajectories",
            pattern=_NOT_BLANK.pattern,
            words=_NOT_BLANK.words,
        ),
        "data_reader": Rule("how they are read", choices=READERS),
        "output_dir": Rule(
            "where the adapters of the roles are kept",
            pattern=_NOT_BLANK.pattern,
            words=_NOT_BLANK.words,
        ),
        "ready_adapters": Rule(
            "adapters that are used where `output_dir` has none, such as "
            "`small_llms.py pack` writes",
            pattern=_NOT_BLANK.pattern,
            words=_NOT_BLANK.words,
        ),
        "prompt_style": Rule(
            "`paper` has the prompts of the published records, `brief` a "
            "third of their tokens",
        ),
        "backbone": Rule(
            "how the adapter that all roles start from is trained, see below",
        ),
        "planner": Rule(_AFTER.format("the planner")),
        "caller": Rule(_AFTER.format("the caller")),
        "summarizer": Rule(_AFTER.format("the summarizer")),
        "search": Rule(
            "`chain` tries one way, `dfsdt` goes back where the planner "
            "gives up",
        ),
        "max_steps": Rule(
            "plans in a row before a task is given up",
            minimum=1,
            maximum=200,
        ),
        "constrained_calls": Rule(
            "whether the caller can only write calls that a tool accepts",
        ),
        "system_prompt": RULES["entry"]["system_prompt"],
        "demonstration_questions": Rule("asked after training"),
    },
    "stage": {
        "num_train_epochs": _TRAINING["num_train_epochs"],
        "learning_rate": _TRAINING["learning_rate"],
        "warmup_ratio": Rule(
            "share of the steps in which the step size rises",
            minimum=0,
            below=1,
        ),
        "weight_decay": _TRAINING["weight_decay"],
    },
}

_OF_STAGES = "set {} in backbone, planner, caller and summarizer"
_BESIDE = "set {} beside model"

NOT_IN_MODEL: dict[str, dict[str, str]] = {
    "entry": {
        "config_name": "the entry around it has it",
        "model_type": "the entry around it has it",
        "data_path": _BESIDE.format("data_path"),
        "output_dir": _BESIDE.format("output_dir"),
        "system_prompt": _BESIDE.format("system_prompt"),
        "demonstration_prompts": _BESIDE.format("demonstration_questions"),
    },
    "fine_tune_config": {
        "data_format": _BESIDE.format("data_reader"),
        "columns": _BESIDE.format("data_reader"),
        "continue_lora_finetuning": "every role continues the backbone",
    },
    "training_args": {
        "output_dir": _BESIDE.format("output_dir"),
        "num_train_epochs": _OF_STAGES.format("num_train_epochs"),
        "learning_rate": _OF_STAGES.format("learning_rate"),
        "warmup_steps": _OF_STAGES.format("warmup_ratio"),
        "warmup_ratio": _OF_STAGES.format("warmup_ratio"),
        "weight_decay": _OF_STAGES.format("weight_decay"),
    },
}
"""What a local model's own entry sets and `model` does not, by section."""

FAMILY = Family(
    {**TOOL_AGENT_RULES}
    | {name: RULES[name] for name in RULES if name != "data_source"},
    {
        "alpha_umi": TOP_LEVEL,
        "stage": "backbone, planner, caller or summarizer",
        "entry": "the top level of model",
        "generation": "model.generation",
        "fine_tune_config": "model.fine_tune_config",
        **{name: f"model.fine_tune_config.{name}" for name in LIBRARIES},
    },
    {
        name: {**RESERVED.get(name, {}), **NOT_IN_MODEL.get(name, {})}
        for name in RESERVED.keys() | NOT_IN_MODEL
    },
)
