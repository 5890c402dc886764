"""One step of a conversation: what has been said and run so far → what to say, and what to run next. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cellblock.adapters.analyst import texts
from cellblock.adapters.analyst.answer import answer, complete, failure, pasted, trying_again
from cellblock.adapters.analyst.code import write
from cellblock.adapters.analyst.outputs import parse
from cellblock.adapters.analyst.plan import Plan, RunCode, Say, title
from cellblock.adapters.analyst.question import Turn, answer_to
from cellblock.adapters.analyst.schema import DataFile

ATTEMPTS = 2
"""How often code for one question may run: the second time is the repair."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Code that was run for the question, and the tool's text about it."""

    code: str
    output: str


@dataclass(frozen=True, slots=True)
class Step:
    """What the analyst says, and the code it wants to run next, if any."""

    text: str
    code: str = ""
    title: str = ""


def respond(
    question: str, files: Sequence[DataFile], earlier: Sequence[Turn] = (), attempts: Sequence[Attempt] = ()
) -> Step:
    """The next step for a question. Numbers in its text stand in the attempts' outputs."""
    reply = answer_to(question, files, earlier)
    if isinstance(reply, Say):
        return Step(reply.text)
    if isinstance(reply, RunCode):
        return run_pasted(reply, attempts)
    if not attempts:
        return Step("", write(reply), title(reply))
    return conclude(reply, earlier, attempts)


def run_pasted(reply: RunCode, attempts: Sequence[Attempt]) -> Step:
    if not attempts:
        return Step("", reply.code, "Your code")
    return Step(pasted(parse(attempts[-1].output)))


def conclude(plan: Plan, earlier: Sequence[Turn], attempts: Sequence[Attempt]) -> Step:
    """The answer, or one more attempt with a careful loader, or why there is none."""
    outputs = parse(attempts[-1].output)
    if outputs.ok and complete(plan, outputs):
        return Step(introduced(answer(plan, outputs), earlier))
    repairable = outputs.status in ("ok", "error") and len(attempts) < ATTEMPTS and not plan.careful
    if repairable:
        again = replace(plan, careful=True)
        return Step(trying_again(outputs), write(again), f"{title(again)} (second attempt)")
    return Step(failure(outputs))


def introduced(text: str, earlier: Sequence[Turn]) -> str:
    """The first answer of a conversation says who is speaking."""
    return text if earlier or texts.WHO in text else f"{text}\n\n*{texts.WHO}*"
