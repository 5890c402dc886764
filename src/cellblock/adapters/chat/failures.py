"""Why an answer failed, in words for a person: no traces, no keys, nothing a provider sent unread."""

import re
import traceback
from collections.abc import Sequence

from pydantic_ai import exceptions as ai

from cellblock.errors import CellblockError, InternalError, ModelFailed, ModelUnavailable

KEYS = re.compile(r"\b(?:sk|pk|key|AIza|gsk|xai)[-_A-Za-z0-9*]{12,}", re.IGNORECASE)
READERS = re.compile(r"pydantic_ai\.models\.(?!_|function|wrapper|instrumented)")  # those of providers

CHECK_KEY = "Check the provider's API key in the server's settings, or choose another model."
LATER = "Try again later, or choose another model."
ADDRESS = "Check the network and the provider's address, or choose another model."


def explain(problem: BaseException, model: str, secrets: Sequence[str] = ()) -> CellblockError:
    """The error of our tree for whatever stopped an answer of `model`."""
    if isinstance(problem, CellblockError):
        return problem
    if isinstance(problem, ai.ModelAPIError):
        return _provider(problem, model, secrets)
    if isinstance(problem, ai.UsageLimitExceeded):
        return ModelFailed(
            "The model took too many steps without an answer, and was stopped.",
            hint="Ask for less at once, or say how to go on.",
        )
    if isinstance(problem, ai.UnexpectedModelBehavior) or in_reading(problem):
        return ModelFailed(f"The model {model} answered in a way that cannot be used.", hint=LATER)
    return InternalError("The answer failed on the server.")


def _provider(problem: ai.ModelAPIError, model: str, secrets: Sequence[str]) -> CellblockError:
    status = problem.status_code if isinstance(problem, ai.ModelHTTPError) else None
    match problem:
        case ai.ModelAuthenticationError():
            return ModelUnavailable(f"The provider of {model} refused the key ({status}).", hint=CHECK_KEY)
        case ai.ModelQuotaExceededError():
            return ModelUnavailable(f"The account's quota for {model} is used up.", hint=LATER)
        case ai.ModelRateLimitError():
            wait = f" It asks to wait {problem.retry_after:.0f} s." if problem.retry_after else ""
            return ModelUnavailable(f"The provider of {model} has too many requests.{wait}", hint=LATER)
        case ai.ModelTimeoutError() | ai.ModelRequestTimeout():
            return ModelUnavailable(f"The provider of {model} did not answer in time.", hint=LATER)
        case ai.ModelConnectionError():
            return ModelUnavailable(f"The connection to the provider of {model} failed or was cut.", hint=ADDRESS)
        case ai.ModelNotFoundError():
            return ModelUnavailable(f"The provider knows no model {model}.", hint="Choose another model.")
        case ai.ModelContextWindowExceededError():
            return ModelFailed(f"The conversation has become too long for {model}.", hint="Start a new one.")
        case ai.ModelRequestRejectedError():
            return ModelFailed(f"The provider of {model} refused the request ({status}).{said(problem, secrets)}")
        case _:
            return ModelUnavailable(f"The provider of {model} failed{f' ({status})' if status else ''}.", hint=LATER)


def in_reading(problem: BaseException) -> bool:
    """Whether the provider's library failed at what it was sent: valid JSON of another shape has no exception of its own."""
    modules = (str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(problem.__traceback__))
    return isinstance(problem, Exception) and any(READERS.match(name) for name in modules)


def said(problem: ai.ModelAPIError, secrets: Sequence[str]) -> str:
    """The provider's own sentence, short and without keys, where there is one."""
    body = problem.body
    inner = body.get("error", body) if isinstance(body, dict) else None
    text = inner.get("message") if isinstance(inner, dict) else None
    return f" It says: {redacted(text, secrets)[:300]}" if isinstance(text, str) and text else ""


def redacted(text: str, secrets: Sequence[str]) -> str:
    """Without the keys we know and whatever looks like one."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return KEYS.sub("***", text)
