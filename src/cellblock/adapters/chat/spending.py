"""What answers have taken: tokens as the provider counted them, and their price where it is publicly known. Pure."""

from collections.abc import Sequence
from decimal import Decimal

from pydantic_ai.messages import ModelMessage, ModelResponse
from typing_extensions import TypedDict


class Spent(TypedDict):
    """Tokens of one answer. `cost` is an estimate in US dollars; null for a model whose price nobody has published."""

    input_tokens: int
    output_tokens: int
    cost: float | None


def spent(messages: Sequence[ModelMessage]) -> Spent | None:
    """The sum over an answer's responses; None where no tokens were counted, as with the built-in analyst."""
    responses = [message for message in messages if isinstance(message, ModelResponse)]
    read = sum(response.usage.input_tokens for response in responses)
    written = sum(response.usage.output_tokens for response in responses)
    if not read and not written:
        return None
    counted = (response for response in responses if response.usage.input_tokens or response.usage.output_tokens)
    prices = [price(response) for response in counted]
    known = [one for one in prices if one is not None]
    return {
        "input_tokens": read,
        "output_tokens": written,
        "cost": float(sum(known)) if len(known) == len(prices) else None,
    }


def price(response: ModelResponse) -> Decimal | None:
    try:
        return response.cost().total_price
    except (LookupError, AssertionError, ValueError):  # no such model or provider, or no price for what it counts
        return None
