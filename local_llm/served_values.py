# -*- coding: utf-8 -*-
"""What the keys of an `openai_chat` entry mean, and their bounds.

Tables only, as in `settings_values`.
"""

from typing import Any

from local_llm.settings_values import RULES, Rule

_NOT_BLANK: dict[str, Any] = {
    "pattern": r"[\s\S]*\S[\s\S]*",
    "words": "text that is not blank",
}

SERVED_RULES: dict[str, dict[str, Rule]] = {
    "openai_chat": {
        "config_name": RULES["entry"]["config_name"],
        "model_type": Rule("marks the entries of models that are served"),
        "model_name": Rule(
            "what the server calls the model; of `transformers serve` the "
            "folder or hub id that it was started with",
            **_NOT_BLANK,
        ),
        "api_key_variable": Rule(
            "the environment variable that holds the server's API key; a "
            "server of your own needs none",
            pattern=r"[A-Za-z_][A-Za-z0-9_]{0,63}",
            words="the name of a variable",
        ),
        "client_args": Rule("how the server is reached, see below"),
        "generate_args": Rule("how replies are chosen, see below"),
        "stream": Rule("whether replies come in pieces"),
        "context_size": Rule("tokens of prompt and reply", minimum=16),
        "folds_system": Rule(
            "whether the system prompt goes before the user's first words; "
            "false where the model's template has a system role",
        ),
        "system_prompt": RULES["entry"]["system_prompt"],
    },
    "client_args": {
        "base_url": Rule(
            "the address of the server's API",
            pattern=r"https?://[^\s/@]+(?:/\S*)?",
            words="an address such as 'http://localhost:8000/v1', without a "
            "password",
        ),
        "timeout": Rule("seconds to wait for the server", above=0),
        "max_retries": Rule("further tries", minimum=0, maximum=10),
    },
    "generate_args": {
        "max_tokens": Rule("new tokens of a reply", minimum=1, maximum=32768),
        "temperature": Rule("0 takes the likeliest", minimum=0, maximum=2),
        "top_p": Rule("share of probability drawn from", above=0, maximum=1),
        "frequency_penalty": Rule(
            "above 0, tokens used before get less likely; of `transformers "
            "serve` a repetition_penalty of 1 more",
            minimum=-2,
            maximum=2,
        ),
        "presence_penalty": Rule(
            "the same once for a token; `transformers serve` has none",
            minimum=-2,
            maximum=2,
        ),
        "seed": Rule("makes drawn replies repeatable", minimum=0),
    },
}
