# -*- coding: utf-8 -*-
"""The shape of the source: who may import whom, sizes, and what is banned.

Read from the syntax trees; nothing of the project is imported.
"""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
from endless_waits import inside_a_timeout, may_wait_for_ever

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("local_llm", "alpha_umi")
IN_A_PACKAGE = tuple(f"{package}." for package in PACKAGES)

ROWS: tuple[tuple[str, ...], ...] = (
    # 0: the standard library, and torch at most
    (
        "local_llm.begun_streams",
        "local_llm.cpu_threads",
        "local_llm.errors",
        "local_llm.known_licences",
        "local_llm.library_defaults",
        "local_llm.lora_limits",
        "local_llm.markdown_text",
        "local_llm.schema_keywords",
    ),
    # 1: the settings and their parts, files, the lock
    (
        "local_llm.atomic_files",
        "local_llm.disk_room",
        "local_llm.hub_token",
        "local_llm.model_lock",
        "local_llm.resume_rules",
        "local_llm.schema_checks",
        "local_llm.settings_file",
        "local_llm.processes",
        "local_llm.reply_requests",
        "local_llm.settings_names",
        "local_llm.settings_rules",
        "local_llm.stop_signals",
        "local_llm.value_kinds",
    ),
    ("local_llm.library_fields", "local_llm.settings_values"),
    ("local_llm.served_values", "local_llm.settings_sections"),
    ("local_llm.settings_checks", "local_llm.settings_combinations"),
    ("local_llm.settings_data",),
    ("local_llm.settings",),
    ("local_llm.served_settings", "local_llm.settings_reference"),
    ("local_llm.entry_types",),
    # schemas of values, and the grammars that follow them
    ("local_llm.bounded_values", "local_llm.schema_parts"),
    ("local_llm.bounded_schemas",),
    ("local_llm.grammars",),
    ("local_llm.held_replies",),
    # 2: the forms of conversations and of tools, the access to the hub
    ("local_llm.text_encoding", "local_llm.tool_calls", "local_llm.turns"),
    ("local_llm.template_thinking", "local_llm.wire_formats"),
    ("local_llm.reply_parts",),
    ("local_llm.template_tools",),
    ("local_llm.chat_format", "local_llm.hub_access", "local_llm.row_values"),
    ("local_llm.tool_turns",),
    ("local_llm.message_formats", "local_llm.text_formats"),
    ("local_llm.conversation_formats", "local_llm.dataset_tables"),
    # 3: data, weights, reports
    (
        "local_llm.adapter_layers",
        "local_llm.checkpoints",
        "local_llm.dataset_files",
        "local_llm.dataset_split",
        "local_llm.devices",
        "local_llm.exact_weights",
        "local_llm.finite_guard",
        "local_llm.gguf_conversion",
        "local_llm.gguf_families",
        "local_llm.gguf_vocabulary",
        "local_llm.graph_capture",
        "local_llm.int8_head",
        "local_llm.labelled_loss",
        "local_llm.live_gradients",
        "local_llm.memory",
        "local_llm.model_files",
        "local_llm.model_step",
        "local_llm.one_query_attention",
        "local_llm.packed_products",
        "local_llm.reply_text",
        "local_llm.reports",
        "local_llm.slot_cache",
        "local_llm.trackers",
        "local_llm.training_history",
        "local_llm.turn_repair",
    ),
    (
        "local_llm.dataset_account",
        "local_llm.dataset_hub",
        "local_llm.dataset_paths",
        "local_llm.decoding_parts",
        "local_llm.doctor",
        "local_llm.embedded_model",
        "local_llm.fixed_cache",
        "local_llm.gguf_tensors",
        "local_llm.hub_upload",
        "local_llm.lora_rows",
        "local_llm.loss_picture",
        "local_llm.machine",
        "local_llm.ollama",
        "local_llm.prefix_cache",
        "local_llm.report_words",
        "local_llm.settings_changes",
    ),
    (
        "local_llm.dataset_sources",
        "local_llm.gguf_export",
        "local_llm.licences",
        "local_llm.model_card",
        "local_llm.model_sources",
    ),
    (
        "local_llm.chat_datasets",
        "local_llm.quantized_copies",
        "local_llm.report_pages",
    ),
    ("local_llm.model_weights",),
    ("local_llm.base_model", "local_llm.run_folders"),
    # 4: adapters
    ("local_llm.adapter_files", "local_llm.training_rows"),
    (
        "local_llm.adapters",
        "local_llm.constrained",
        "local_llm.trained_adapters",
    ),
    (
        "local_llm.finished_runs",
        "local_llm.merged_model",
        "local_llm.public_files",
        "local_llm.token_choice",
        "local_llm.trained_weights",
        "local_llm.training_result",
    ),
    # what a run will need
    (
        "local_llm.export_cards",
        "local_llm.model_shapes",
        "local_llm.preview",
        "local_llm.schedules",
    ),
    ("local_llm.estimates", "local_llm.run_times"),
    ("local_llm.workloads",),
    # 5: generation and training, which meet in the local model
    ("local_llm.model_restoration", "local_llm.training_arguments"),
    ("local_llm.shared_batches", "local_llm.step_graphs"),
    ("local_llm.chat_trainer",),
    ("local_llm.training_progress",),
    ("local_llm.decoder", "local_llm.reply_rows"),
    ("local_llm.reply_batch",),
    ("local_llm.generation", "local_llm.training"),
    (
        "local_llm.batched_replies",
        "local_llm.export_folders",
        "local_llm.named_adapters",
        "local_llm.surroundings",
    ),
    ("local_llm.export", "local_llm.runs"),
    (
        "local_llm.fine_tuning",
        "local_llm.loaded_model",
        "local_llm.model_cards",
    ),
    ("local_llm.local_model", "local_llm.reply_streams"),
    ("local_llm.model_catalog", "local_llm.planning"),
    # the multi-LLM agent, from what the roles say to what is measured
    (
        "alpha_umi.arithmetic",
        "alpha_umi.arm_names",
        "alpha_umi.intervals",
        "alpha_umi.knowledge",
        "alpha_umi.limits",
        "alpha_umi.progress_lines",
        "alpha_umi.protocol",
        "alpha_umi.reading",
        "alpha_umi.rouge_l",
        "alpha_umi.scores",
        "alpha_umi.tool_agent_values",
        "alpha_umi.units",
    ),
    (
        "alpha_umi.call_grammar",
        "alpha_umi.calls",
        "alpha_umi.decision_steps",
        "alpha_umi.local_tools",
        "alpha_umi.prompts",
        "alpha_umi.python_tools",
        "alpha_umi.schema_guided_dialogues",
        "alpha_umi.star_dialogues",
        "alpha_umi.tool_agent_settings",
        "alpha_umi.tool_texts",
        "alpha_umi.toolalpaca_golden",
        "alpha_umi.toolbench_answers",
        "alpha_umi.trajectory_files",
    ),
    (
        "alpha_umi.comparison_requests",
        "alpha_umi.config_reference",
        "alpha_umi.end_to_end",
        "alpha_umi.excerpts",
        "alpha_umi.gsm8k",
        "alpha_umi.held_calls",
        "alpha_umi.metrics",
        "alpha_umi.openapi_tools",
        "alpha_umi.results",
        "alpha_umi.roles",
        "alpha_umi.search",
        "alpha_umi.simulated_tools",
        "alpha_umi.star_apis",
        "alpha_umi.tool_runs",
        "alpha_umi.toolbench",
    ),
    (
        "alpha_umi.agent_roles",
        "alpha_umi.arms",
        "alpha_umi.budget",
        "alpha_umi.columns",
        "alpha_umi.floors",
        "alpha_umi.moves",
        "alpha_umi.orderings",
        "alpha_umi.paper_results",
        "alpha_umi.records",
        "alpha_umi.schema_guided_services",
        "alpha_umi.star",
    ),
    (
        "alpha_umi.agent_speech",
        "alpha_umi.loop",
        "alpha_umi.result_picture",
        "alpha_umi.result_tables",
        "alpha_umi.schema_guided_words",
        "alpha_umi.toolalpaca",
        "alpha_umi.trained_team",
    ),
    (
        "alpha_umi.agent_calls",
        "alpha_umi.agent_history",
        "alpha_umi.glpft",
        "alpha_umi.local_roles",
        "alpha_umi.packing",
        "alpha_umi.result_files",
        "alpha_umi.schema_guided_excerpts",
        "alpha_umi.static_evaluation",
        "alpha_umi.transcripts",
    ),
    (
        "alpha_umi.agent_model",
        "alpha_umi.answer_files",
        "alpha_umi.schema_guided",
        "alpha_umi.task_evaluation",
    ),
    (
        "alpha_umi.agent",
        "alpha_umi.comparison",
        "alpha_umi.evaluation",
        "alpha_umi.readers",
    ),
    ("alpha_umi.comparison_data",),
    # 6: the chat model
    (
        "huggingface_adapters",
        "huggingface_catalog",
        "huggingface_credential",
        "huggingface_formatter",
        "huggingface_offers",
        "huggingface_parameters",
        "small_contexts",
    ),
    ("huggingface_asking",),
    ("huggingface_replies", "huggingface_structured"),
    ("huggingface_chat",),
    ("huggingface_model",),
    ("chat_models",),
    # 7: the agent, the hub, the terminal
    ("command_line", "finetune_dialog_agent", "msghub", "screen"),
    ("plan_screen", "program_frame", "service_agents"),
    ("agent_service", "talking", "tool_agents", "tool_command_line"),
    ("tool_inputs",),
    # 9: the programs
    (
        "conversation_with_agent_with_finetuned_model",
        "serve_agents",
        "small_llms",
    ),
)
"""Imports go from a lower line of this table to a higher one only; modules of
one line do not import each other."""

USERS_OF_AGENTSCOPE = {
    "agent_service",
    "alpha_umi.agent",
    "alpha_umi.agent_calls",
    "alpha_umi.agent_history",
    "alpha_umi.agent_model",
    "alpha_umi.agent_roles",
    "alpha_umi.agent_speech",
    "chat_models",
    "conversation_with_agent_with_finetuned_model",
    "finetune_dialog_agent",
    "huggingface_asking",
    "huggingface_catalog",
    "huggingface_chat",
    "huggingface_credential",
    "huggingface_formatter",
    "huggingface_model",
    "huggingface_offers",
    "huggingface_replies",
    "huggingface_structured",
    "msghub",
    "service_agents",
    "small_contexts",
    "talking",
    "tool_agents",
}

NAMED_UPWARDS = {
    # AgentScope asks a credential for the class of its models.
    ("huggingface_credential", "huggingface_model"),
}

CATCHES_EVERYTHING = {
    # the last one above everything: no traceback without --debug
    "program_frame",
    "local_llm.export",  # the same, of another program
    "local_llm.model_weights",  # the loaders raise plain Exception
    "local_llm.reply_rows",  # the worker has nobody above it
    "msghub",  # one listener must not cost the others the message
    "alpha_umi.tool_runs",  # tools of others raise what they like
}

COMMANDS = {
    "alpha_umi.config_reference",
    "local_llm.export",
    "local_llm.model_cards",
}
"""Modules of the package that are also run by themselves."""

FILE_LINES = {"source": 400, "tests": 600}
FUNCTION_LINES = {"source": 60, "tests": 80}
MEDIAN_FUNCTION_LINES = 14

Function = ast.FunctionDef | ast.AsyncFunctionDef


def own_modules() -> dict[str, Path]:
    """The modules of the project by their dotted name."""
    top = {path.stem: path for path in PROJECT.glob("*.py")}
    packages = {
        f"{package}.{path.stem}": path
        for package in PACKAGES
        for path in (PROJECT / package).rglob("*.py")
        if path.stem != "__init__"
    }
    return {**top, **packages}


def name_of(value: Path | str) -> str:
    """How a parameter shows in the name of a test."""
    return value if isinstance(value, str) else value.stem


MODULES = own_modules()
SOURCE = sorted({*MODULES.values(), *(PROJECT / "benchmarks").glob("*.py")})
TESTS = sorted((PROJECT / "tests").rglob("*.py"))
KINDS = [(path, "source") for path in SOURCE] + [
    (path, "tests") for path in TESTS
]

every_module = pytest.mark.parametrize("module", sorted(MODULES))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(module: str) -> Iterator[str]:
    """Absolute names of what a module imports, wherever it does so."""
    for node in ast.walk(tree_of(MODULES[module])):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from _imported_from(node, module)


def _imported_from(node: ast.ImportFrom, module: str) -> Iterator[str]:
    package = module.split(".")[: -node.level] if node.level else []
    parts = [*package, *([node.module] if node.module else [])]
    whole = ".".join(parts)
    names = [f"{whole}.{one.name}" for one in node.names]
    # `from . import errors` imports modules, `from .errors import X` one.
    modules = [name for name in names if name in MODULES]
    yield from modules or [whole]


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, Function):
            yield node


def length(function: Function) -> int:
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def row_of(module: str) -> int:
    for number, row in enumerate(ROWS):
        if module in row:
            return number
    pytest.fail(f"{module} has no row: put it into ROWS of {__file__}")


# -- imports --------------------------------------------------------------


def test_the_table_names_modules_that_exist_and_each_once() -> None:
    named = [module for row in ROWS for module in row]
    assert sorted(named) == sorted(MODULES)


@every_module
def test_imports_between_our_modules_only_go_up_the_table(
    module: str,
) -> None:
    wrong = [
        name
        for name in imported(module)
        if name in MODULES
        and row_of(name) >= row_of(module)
        and (module, name) not in NAMED_UPWARDS
    ]
    assert wrong == []


@every_module
def test_agentscope_is_imported_where_it_is_allowed(module: str) -> None:
    roots = {name.partition(".")[0] for name in imported(module)}
    assert "agentscope" not in roots or module in USERS_OF_AGENTSCOPE


@every_module
def test_a_package_imports_no_module_of_the_top_level(module: str) -> None:
    if not module.startswith(IN_A_PACKAGE):
        return
    top = {name for name in MODULES if "." not in name}
    assert top.isdisjoint(imported(module))


def test_generation_and_training_do_not_import_each_other() -> None:
    assert "local_llm.training" not in set(imported("local_llm.generation"))
    assert "local_llm.generation" not in set(imported("local_llm.training"))


# -- sizes ----------------------------------------------------------------


@pytest.mark.parametrize(("path", "kind"), KINDS, ids=name_of)
def test_no_file_is_too_long(path: Path, kind: str) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= FILE_LINES[kind]


@pytest.mark.parametrize(("path", "kind"), KINDS, ids=name_of)
def test_no_function_is_too_long(path: Path, kind: str) -> None:
    limit = FUNCTION_LINES[kind]
    long = {
        one.name: length(one) for one in functions(path) if length(one) > limit
    }
    assert long == {}


def test_half_of_the_functions_are_short() -> None:
    lengths = [length(one) for path in SOURCE for one in functions(path)]
    assert statistics.median(lengths) <= MEDIAN_FUNCTION_LINES


@every_module
def test_a_module_has_a_test_file_of_its_name(module: str) -> None:
    name = f"test_{module.rpartition('.')[2]}.py"
    assert (PROJECT / "tests" / name).is_file()


# -- what is banned -------------------------------------------------------


@pytest.mark.parametrize("path", SOURCE, ids=name_of)
def test_nothing_waits_without_a_limit(path: Path) -> None:
    tree = tree_of(path)
    limited = inside_a_timeout(tree)
    endless = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and may_wait_for_ever(node)
        and node not in limited
    ]
    assert endless == []


@pytest.mark.parametrize(
    ("code", "is_endless"),
    [
        ("queue.get()", True),
        ("queue.get(timeout=None)", True),
        ("queue.get(timeout=5)", False),
        ("values.get(key)", False),
        ("thread.join()", True),
        ("', '.join(names)", False),
        ("event.wait()", True),
        ("event.wait(5)", False),
        ("future.result()", True),
        ("lock.acquire()", True),
        ("lock.acquire(True)", True),
        ("lock.acquire(timeout=5)", False),
        ("lock.acquire(blocking=False)", False),
    ],
)
def test_a_wait_without_a_limit_is_recognised(
    code: str,
    is_endless: bool,
) -> None:
    call = ast.parse(code, mode="eval").body
    assert isinstance(call, ast.Call)
    assert may_wait_for_ever(call) == is_endless


@every_module
def test_everything_is_caught_in_the_documented_places_alone(
    module: str,
) -> None:
    blind = [
        f"line {node.lineno}"
        for node in ast.walk(tree_of(MODULES[module]))
        if isinstance(node, ast.ExceptHandler)
        and _catches_everything(node)
        and not isinstance(node.body[-1], ast.Raise)
    ]
    assert not blind or (module in CATCHES_EVERYTHING and len(blind) == 1)


@every_module
def test_a_package_prints_nothing(module: str) -> None:
    if module in COMMANDS or not module.startswith(IN_A_PACKAGE):
        return
    printing = [
        node.lineno
        for node in ast.walk(tree_of(MODULES[module]))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert printing == []


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type
    parts = kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]
    return not {"Exception", "BaseException"}.isdisjoint(
        ast.unparse(one) for one in parts
    )
