# -*- coding: utf-8 -*-
"""What the process that the others are forked from has done before.

It imports, and builds the tables of the libraries; no tensor is computed and
no thread begun.
"""

import gc
from pathlib import Path

import child_runs
import matplotlib.backends.backend_agg  # noqa: F401
import matplotlib.figure  # noqa: F401
import peft.tuners.lora.bnb  # noqa: F401
import transformers.integrations.bitsandbytes  # noqa: F401
from transformers.conversion_mapping import get_checkpoint_conversion_mapping
from transformers.models.gemma import modeling_gemma  # noqa: F401

get_checkpoint_conversion_mapping("gemma")
config = child_runs.fine_tune_config("packed")
child_runs.local_model(Path(), fine_tune_config=config)

# What is there now lives on: no fork has to look at it again.
gc.collect()
gc.freeze()
