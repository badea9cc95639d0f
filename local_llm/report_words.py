# -*- coding: utf-8 -*-
"""Says in words what a fine-tuning run came to.

Sentences and figures for pages and screens. Knows no layout; raises nothing.
"""

import math

from .reports import Reply, RunReport

_LARGEST_PRINTED = 1e6

_ENDINGS = {
    "stop": "ended its turn after",
    "length": "cut off after",
    "timeout": "out of time after",
    "cancelled": "cancelled after",
}


def outcome(report: RunReport) -> str:
    """What came out of a run, in a paragraph.

    Args:
        report (`RunReport`):
            The run.
    """
    sentences = [
        _held_out(report),
        _sentence(kept(report)),
        _sentence(endings(report)),
        f"Training took {counted(report.steps, 'step')} and "
        f"{duration(report.seconds)}.",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def change(before: float, after: float) -> str:
    """How far a loss fell or rose, for example "33.1% lower"."""
    if before == after or not before:
        return "unchanged" if before == after else "was 0 before"
    share = after / before - 1
    return f"{abs(share):.1%} {'higher' if share > 0 else 'lower'}"


def perplexity(loss: float) -> str:
    """The perplexity that belongs to a mean loss in nats."""
    if not math.isfinite(loss) or loss > math.log(_LARGEST_PRINTED):
        return "above 1,000,000"
    value = math.exp(loss)
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{decimals}f}"


def duration(seconds: float) -> str:
    """A time as people say it, for example "3 min 7 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def endings(report: RunReport) -> str:
    """How many demonstration prompts got a reply that ended by itself."""
    if not report.demonstrations:
        return ""
    total = len(report.demonstrations)
    return (
        f"{report.ended_turns('after')} of {total} replies ended by "
        f"themselves, {report.ended_turns('before')} of {total} before"
    )


def ending(reply: Reply) -> str:
    """How a reply ended, for example "cut off after 160 tokens"."""
    how = _ENDINGS.get(reply.finish_reason, f"{reply.finish_reason} after")
    return f"{how} {counted(reply.tokens, 'token')}"


def counted(number: int, what: str) -> str:
    """A number of things, for example "1 step" and "1,200 steps"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def kept(report: RunReport) -> str:
    """Which weights were kept and why training ended, in a few words."""
    parts = []
    if report.best_step is not None:
        parts.append(
            f"the {_what(report)} of step {report.best_step:,} was kept, where the "
            "held-out loss was lowest",
        )
    if report.stopped_early:
        parts.append(
            f"training stopped early, after step {report.steps:,}, since the "
            "held-out loss no longer fell",
        )
    return "; ".join(parts)


def _what(report: RunReport) -> str:
    return "model" if report.is_whole_model else "adapter"


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}." if words else ""


def _held_out(report: RunReport) -> str:
    before, after = report.held_out_before, report.held_out_after
    if before is None or after is None:
        return (
            "No row was held out, so nothing here says how well the "
            f"{_what(report)} does on what it has not seen."
        )
    verb = "fell" if after < before else "rose" if after > before else "stayed"
    text = (
        f"The loss on held-out rows {verb} from {before:.3f} to {after:.3f} "
        f"({change(before, after)}), the perplexity from "
        f"{perplexity(before)} to {perplexity(after)}."
    )
    if after > before:
        before_it = "before" if report.is_whole_model else "without it"
        text += (
            f" On rows that it has not seen, the {_what(report)} does worse "
            f"than the model {before_it}."
        )
    return text
