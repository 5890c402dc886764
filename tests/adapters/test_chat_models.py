"""Which models there are, which one answers, and what a provider's failure becomes."""

import gc
import weakref

import pytest
from inline_snapshot import snapshot
from pydantic_ai import exceptions as ai
from pydantic_ai.models.test import TestModel

from cellblock.adapters.chat.failures import explain
from cellblock.adapters.chat.models import ANALYST, MOST, Models, ModelSettings
from cellblock.errors import CellblockError, InvalidRequest, ModelUnavailable

KEYED = ModelSettings(google_key="g", openai_key="o", anthropic_key="a")


def test_without_a_key_the_built_in_analyst_answers_and_the_list_says_why() -> None:
    models = Models(ModelSettings())
    assert models.default == ANALYST
    catalogue = models.catalogue()
    assert catalogue[0] == snapshot(
        {
            "id": "google:gemini-2.5-pro",
            "label": "gemini-2.5-pro",
            "provider": "Google",
            "available": False,
            "reason": "Set GEMINI_API_KEY and restart the server. Until then the built-in analyst answers.",
            "vision": True,
            "default": False,
        }
    )
    assert catalogue[-1] == snapshot(
        {
            "id": "builtin:analyst",
            "label": "Built-in analyst",
            "provider": "Built in",
            "available": True,
            "reason": "Not a language model: it answers questions about data files by rules, and needs no key.",
            "vision": False,
            "default": True,
        }
    )
    assert [view["id"] for view in catalogue if view["available"]] == [ANALYST]


def test_with_its_key_the_setting_answers() -> None:
    models = Models(KEYED)
    assert models.default == "google:gemini-2.5-pro"
    assert all(view["available"] for view in models.catalogue())


def test_a_compatible_server_needs_an_address_and_no_key() -> None:
    assert Models(ModelSettings("openai-chat:qwen")).default == ANALYST
    models = Models(ModelSettings("openai-chat:qwen", openai_base_url="http://127.0.0.1:8000/v1"))
    assert models.default == "openai-chat:qwen"
    assert models.catalogue()[0]["vision"] is False


@pytest.mark.parametrize("id", ["google:gemini-x", "openai:gpt-x", "openai-chat:x", "anthropic:claude-x"])
async def test_every_provider_makes_its_model_by_name(id: str) -> None:
    models = Models(ModelSettings(google_key="g", openai_key="o", anthropic_key="a", openai_base_url="http://h/v1"))
    choice = await models.choose(id)
    assert choice.model.model_name == id.partition(":")[2]
    assert (await models.choose(id)).model is choice.model
    await models.aclose()


async def test_names_without_an_end_fill_no_memory() -> None:
    models = Models(ModelSettings(openai_base_url="http://h/v1"))
    first = weakref.ref((await models.choose("openai-chat:first")).model)
    for n in range(MOST):
        await models.choose(f"openai-chat:{n}")
    gc.collect()
    assert first() is None
    await models.aclose()


async def test_no_key_and_no_such_model_are_different_errors() -> None:
    models = Models(ModelSettings())
    with pytest.raises(ModelUnavailable, match="ANTHROPIC_API_KEY"):
        await models.choose("anthropic:claude-x")
    with pytest.raises(InvalidRequest):
        await models.choose("acme:model")


async def test_the_analyst_can_always_be_chosen() -> None:
    assert (await Models(ModelSettings()).choose(ANALYST)).vision is False


async def test_a_model_of_ones_own_can_be_added() -> None:
    models = Models(ModelSettings("test:mine"), extra={"test:mine": lambda name: TestModel(model_name=name)})
    assert (await models.choose(None)).model.model_name == "mine"


def test_keys_are_in_no_representation() -> None:
    assert "sk-secret" not in repr(ModelSettings(openai_key="sk-secret"))
    assert ModelSettings(openai_key="sk-secret").secrets == ("sk-secret",)


REJECTED = ai.ModelHTTPError.for_category(
    ai.ModelRequestRejectedError,
    status_code=400,
    model_name="m",
    body={"error": {"message": "max_tokens is too large for key sk-abcdefghijklmnop and my-own-secret"}},
)


@pytest.mark.parametrize(
    ("problem", "code", "said"),
    [
        (
            ai.ModelHTTPError.for_category(ai.ModelAuthenticationError, status_code=401, model_name="m", body="sk-x"),
            "model_unavailable",
            snapshot("The provider of test:m refused the key (401)."),
        ),
        (
            ai.ModelHTTPError.for_category(
                ai.ModelRateLimitError, status_code=429, model_name="m", headers={"Retry-After": "7"}
            ),
            "model_unavailable",
            snapshot("The provider of test:m has too many requests. It asks to wait 7 s."),
        ),
        (
            ai.ModelHTTPError(502, "m", "<html>"),
            "model_unavailable",
            snapshot("The provider of test:m failed (502)."),
        ),
        (
            REJECTED,
            "model_failed",
            snapshot(
                "The provider of test:m refused the request (400). It says: max_tokens is too large for key *** and ***"
            ),
        ),
        (
            ai.UsageLimitExceeded("12"),
            "model_failed",
            snapshot("The model took too many steps without an answer, and was stopped."),
        ),
        (
            ai.UnexpectedModelBehavior("odd"),
            "model_failed",
            snapshot("The model test:m answered in a way that cannot be used."),
        ),
        (KeyError("internals"), "internal_error", snapshot("The answer failed on the server.")),
    ],
)
def test_a_failure_becomes_a_sentence_without_secrets(problem: Exception, code: str, said: str) -> None:
    made = explain(problem, "test:m", ["my-own-secret"])
    assert isinstance(made, CellblockError)
    assert (made.code, made.message) == (code, said)
