# -*- coding: utf-8 -*-
"""What trl, peft and transformers accept, read from their source files.

Imports none of them: a class's fields and annotations are parsed with `ast`.
Annotations that cannot be judged accept everything.
Raises ConfigError when a library is not installed or has another shape.
"""

import ast
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from local_llm.errors import ConfigError
from local_llm.value_kinds import Kind, kinds_of, literals, parse_annotation


@dataclass(frozen=True, slots=True)
class LibraryField:
    """A field or argument of a library's class.

    Args:
        kinds (`tuple[Kind, ...]`): What it accepts.
        default (`str`): Its default as the library's source writes it.
    """

    kinds: tuple[Kind, ...]
    default: str


@dataclass(frozen=True, slots=True)
class Library:
    """Where a section's class, its bases and its enums are written.

    Args:
        title (`str`): How messages name the class.
        class_name (`str`): The class in the first of the files.
        files (`tuple[tuple[str, str], ...]`): Package and path, the class
            before its bases.
        url (`str`): The library's own documentation of the class.
    """

    title: str
    class_name: str
    files: tuple[tuple[str, str], ...]
    url: str


LIBRARIES: dict[str, Library] = {
    "training_args": Library(
        "trl's SFTConfig",
        "SFTConfig",
        (
            ("trl", "trainer/sft_config.py"),
            ("trl", "trainer/base_config.py"),
            ("transformers", "training_args.py"),
            ("transformers", "trainer_utils.py"),
        ),
        "https://huggingface.co/docs/trl/sft_trainer#trl.SFTConfig",
    ),
    "lora_config": Library(
        "peft's LoraConfig",
        "LoraConfig",
        (("peft", "tuners/lora/config.py"), ("peft", "config.py")),
        "https://huggingface.co/docs/peft/package_reference/lora",
    ),
    "bnb_config": Library(
        "transformers' BitsAndBytesConfig",
        "BitsAndBytesConfig",
        (("transformers", "utils/quantization_config.py"),),
        "https://huggingface.co/docs/transformers/main_classes/quantization"
        "#transformers.BitsAndBytesConfig",
    ),
}


_REPORTERS = (
    "'none', 'azure_ml', 'clearml', 'codecarbon', 'comet_ml', "
    "'dagshub', 'dvclive', 'flyte', 'kubeflow', 'mlflow', 'neptune', "
    "'swanlab', 'tensorboard', 'trackio', 'wandb'"
)
_LOG_LEVELS = "'passive', 'detail', 'debug', 'info', 'warning', 'error'"

# Where the library's own annotation is missing, or says less than its code:
# the rest fails, often only after the model was loaded.
_NARROWER = {
    "llm_int8_skip_modules": "list[str] | None",
    "bnb_4bit_compute_dtype": "str | None",
    "bnb_4bit_quant_storage": "str | None",
    "activation_checkpointing_kwargs": "dict | None",
    "debug": "Literal['', 'underflow_overflow', 'tpu_metrics_debug']",
    "gradient_checkpointing_kwargs": "dict | None",
    "include_num_input_tokens_seen": "bool | Literal['all', 'non_padding', "
    "'no']",
    "log_level": f"Literal[{_LOG_LEVELS}, 'critical']",
    "log_level_replica": f"Literal[{_LOG_LEVELS}, 'critical']",
    "lr_scheduler_kwargs": "dict | None",
    "pad_to_multiple_of": "int | Literal['auto'] | None",
    "report_to": f"Literal[{_REPORTERS}] | list[Literal[{_REPORTERS}]] | None",
    # The best weights are kept with every checkpoint, whenever it is written.
    "save_strategy": "Literal['no', 'steps', 'epoch']",
    # Biases are the base model's, and other ways of starting, such as PiSSA,
    # change it as well; all adapters share it.
    "bias": "Literal['none']",
    "init_lora_weights": "bool | Literal['gaussian']",
    "alpha_pattern": "dict[str, float] | None",
    "rank_pattern": "dict[str, int] | None",
}


@cache
def library_fields(section: str) -> Mapping[str, LibraryField]:
    """The fields a section of the config may set, by name.

    Args:
        section (`str`): "training_args", "lora_config" or "bnb_config".
    """
    library = LIBRARIES[section]
    classes = _classes(library)
    if library.class_name not in classes:
        package = library.files[0][0]
        raise ConfigError(
            section,
            [f"the installed {package} has no {library.class_name} to read"],
            fix="pip install -r requirements.txt",
        )
    enums = {
        name: choices
        for name, node in classes.items()
        if (choices := _enum_choices(node))
    }
    if section == "bnb_config":
        return _argument_fields(classes[library.class_name])
    return _class_fields(library.class_name, classes, enums)


def _classes(library: Library) -> dict[str, ast.ClassDef]:
    classes: dict[str, ast.ClassDef] = {}
    for package, relative in library.files:
        file = _package_folder(package) / relative
        # Another version may keep a base class in one file fewer.
        if file.is_file():
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef):
                    classes.setdefault(node.name, node)
    return classes


@cache
def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            package,
            [f"the library {package} is not installed"],
            fix="pip install -r requirements.txt",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _class_fields(
    class_name: str,
    classes: Mapping[str, ast.ClassDef],
    enums: Mapping[str, tuple[str, ...]],
) -> dict[str, LibraryField]:
    node = classes.get(class_name)
    if node is None:
        return {}
    fields: dict[str, LibraryField] = {}
    for base in reversed(node.bases):
        if isinstance(base, ast.Name):
            fields |= _class_fields(base.id, classes, enums)
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(
            line.target,
            ast.Name,
        ):
            fields[line.target.id] = _field(line, enums)
    return fields


def _field(
    line: ast.AnnAssign,
    enums: Mapping[str, tuple[str, ...]],
) -> LibraryField:
    kinds = kinds_of(line.annotation, enums)
    default = ""
    if isinstance(line.value, ast.Call):
        for keyword in line.value.keywords:
            if keyword.arg == "default":
                default = ast.unparse(keyword.value)
            elif keyword.arg == "metadata":
                kinds = _with_choices(kinds, keyword.value)
    narrower = _NARROWER.get(getattr(line.target, "id", ""))
    return LibraryField(
        parse_annotation(narrower) if narrower else kinds,
        default,
    )


def _with_choices(kinds: tuple[Kind, ...], node: ast.expr) -> tuple[Kind, ...]:
    if not isinstance(node, ast.Dict):
        return kinds
    for key, value in zip(node.keys, node.values, strict=True):
        choices = literals(value)
        if choices and getattr(key, "value", None) == "choices":
            others = (kind for kind in kinds if kind.name != "string")
            return (Kind("choice", choices=choices), *others)
    return kinds


def _argument_fields(node: ast.ClassDef) -> dict[str, LibraryField]:
    builders = [
        line
        for line in node.body
        if isinstance(line, ast.FunctionDef) and line.name == "__init__"
    ]
    if not builders:
        return {}
    names = [argument.arg for argument in builders[0].args.args]
    defaults = builders[0].args.defaults
    return {
        name: LibraryField(_argument_kinds(name, value), ast.unparse(value))
        for name, value in zip(
            names[len(names) - len(defaults) :],
            defaults,
            strict=True,
        )
    }


def _argument_kinds(name: str, default: ast.expr) -> tuple[Kind, ...]:
    value = getattr(default, "value", None)
    return parse_annotation(_NARROWER.get(name, type(value).__name__))


def _enum_choices(node: ast.ClassDef) -> tuple[str, ...]:
    if not any("Enum" in ast.unparse(base) for base in node.bases):
        return ()
    return tuple(
        line.value.value
        for line in node.body
        if isinstance(line, ast.Assign)
        and isinstance(line.value, ast.Constant)
        and isinstance(line.value.value, str)
    )
