"""Which language models can answer, and the clients that reach them. Keys and addresses come in as one value."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TypeAlias

import httpx2
from pydantic_ai.models import Model, create_async_httpx2_client
from typing_extensions import TypedDict

from cellblock.errors import InvalidRequest, ModelUnavailable

ANALYST = "builtin:analyst"

OFFERED = (
    "google:gemini-2.5-pro",
    "google:gemini-3.8-flash",
    "openai:gpt-6.1-sol",
    "openai:gpt-6.1-terra",
    "anthropic:claude-opus-5-5",
    "anthropic:claude-sonnet-5-5",
)
"""What /api/models lists besides the default and the analyst; any other name of a provider works too."""

LABELS = {"google": "Google", "openai": "OpenAI", "openai-chat": "OpenAI-compatible", "anthropic": "Anthropic"}

KEY_NAMES = {"google": "GEMINI_API_KEY", "openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}


@dataclass(frozen=True)
class ModelSettings:
    """What an operator says about models. `timeout` is seconds without a word from a provider; a key is never shown.

    `titles`: whether models also write the titles of conversations.
    """

    default: str = "google:gemini-2.5-pro"
    google_key: str | None = field(default=None, repr=False)
    google_base_url: str | None = None
    openai_key: str | None = field(default=None, repr=False)
    openai_base_url: str | None = None
    anthropic_key: str | None = field(default=None, repr=False)
    anthropic_base_url: str | None = None
    timeout: float = 120.0
    retries: int = 2
    titles: bool = False

    @property
    def secrets(self) -> tuple[str, ...]:
        """The keys that are set: whatever is shown to anybody must be free of them."""
        values = (getattr(self, f.name) for f in fields(self) if f.name.endswith("_key"))
        return tuple(value for value in values if value)


class ModelView(TypedDict):
    """One model of GET /api/models. `reason`: why it cannot answer, or what to know; `default`: answers unasked."""

    id: str
    label: str
    provider: str
    available: bool
    reason: str | None
    vision: bool
    default: bool


@dataclass(frozen=True)
class Choice:
    """The model that will answer. `vision`: whether it is shown images; `titles`: whether it also writes a title."""

    id: str
    model: Model
    vision: bool
    titles: bool = False


MOST = 32
"""Models that are kept once they have been made: any name of a provider's may be asked for."""

Build: TypeAlias = Callable[[str], Model]


class Models:
    """The models of one server. `extra` adds models by id, each a function that makes it."""

    def __init__(self, settings: ModelSettings, *, extra: dict[str, Build] | None = None) -> None:
        self.settings = settings
        self._extra: dict[str, Build] = {ANALYST: _analyst, **(extra or {})}
        self._built: dict[str, Model] = {}
        self._client: httpx2.AsyncClient | None = None

    @property
    def default(self) -> str:
        """The id that answers when a request names none: the setting, or the analyst while its key is missing."""
        wanted = self.settings.default
        return wanted if self.missing(wanted) is None else ANALYST

    def missing(self, model_id: str) -> str | None:
        """Why a model cannot be used, in words an operator can act on; None when it can."""
        provider, _, name = model_id.partition(":")
        if model_id in self._extra:
            return None
        if not name or provider not in LABELS:
            return "Unknown provider: use google:, openai:, openai-chat: or anthropic: and a model's name."
        if provider == "openai-chat":
            return None if self.settings.openai_base_url else "Set OPENAI_BASE_URL to the server's address."
        if provider == "openai" and self.settings.openai_base_url:
            return None
        key = getattr(self.settings, f"{provider}_key")
        return None if key else f"Set {KEY_NAMES[provider]} and restart the server."

    def catalogue(self) -> list[ModelView]:
        """The default first, then the others a person can choose from, the built-in analyst last."""
        ids = dict.fromkeys([self.settings.default, *OFFERED, *(i for i in self._extra if i != ANALYST), ANALYST])
        return [self._view(model_id) for model_id in ids]

    async def choose(self, model_id: str | None) -> Choice:
        """The model that answers a request. InvalidRequest for a name that is none, ModelUnavailable without a key."""
        wanted = model_id or self.default
        if wanted not in self._extra and wanted.partition(":")[0] not in LABELS:
            raise InvalidRequest(
                f"There is no model {wanted[:100]!r}.", fields=[{"path": "model", "message": "unknown provider"}]
            )
        if reason := self.missing(wanted):
            raise ModelUnavailable(f"The model {wanted} cannot be used: {reason}")
        model = self._built.get(wanted)
        if model is None:
            self._http()  # one for all of them
            model = await asyncio.to_thread(self._build, wanted)  # seconds, the first time: not on the event loop
            self._built[wanted] = model
            if len(self._built) > MOST:
                del self._built[next(iter(self._built))]
        titles = self.settings.titles and wanted != ANALYST
        return Choice(wanted, model, sees_images(wanted), titles)

    async def aclose(self) -> None:
        """Close the connections to the providers."""
        self._built.clear()
        if self._client is not None:
            await self._client.aclose()

    def _view(self, model_id: str) -> ModelView:
        provider, _, name = model_id.partition(":")
        reason = self.missing(model_id)
        if reason and model_id == self.settings.default:
            reason += " Until then the built-in analyst answers."
        if model_id == ANALYST:
            reason = "Not a language model: it answers questions about data files by rules, and needs no key."
        return {
            "id": model_id,
            "label": "Built-in analyst" if model_id == ANALYST else name or model_id,
            "provider": "Built in" if provider == "builtin" else LABELS.get(provider, provider),
            "available": model_id == ANALYST or reason is None,
            "reason": reason,
            "vision": sees_images(model_id),
            "default": model_id == self.default,
        }

    def _build(self, model_id: str) -> Model:
        """Imports a provider's client; it takes seconds, so only who is used is imported."""
        provider, _, name = model_id.partition(":")
        if made := self._extra.get(model_id):
            return made(name)
        if provider == "google":
            return self._google(name)
        return self._anthropic(name) if provider == "anthropic" else self._openai(name)

    def _http(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = create_async_httpx2_client(timeout=httpx2.Timeout(self.settings.timeout, connect=10))
        return self._client

    def _google(self, name: str) -> Model:
        from google.genai.types import HttpRetryOptions
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider

        provider = GoogleProvider(
            api_key=self.settings.google_key,
            base_url=self.settings.google_base_url,
            http_client=self._http(),
            retry_options=HttpRetryOptions(attempts=self.settings.retries + 1),
        )
        return GoogleModel(name, provider=provider)

    def _openai(self, name: str) -> Model:
        from openai import AsyncOpenAI
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider
        from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

        client = AsyncOpenAI(
            api_key=self.settings.openai_key or "none",  # a compatible server may need none, the client does
            base_url=self.settings.openai_base_url or "https://api.openai.com/v1",
            max_retries=self.settings.retries,
            http_client=self._http(),
        )
        if self.settings.openai_base_url:
            return OpenAIChatModel(name, provider=OpenAICompatibleProvider("openai-compatible", openai_client=client))
        return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=client))

    def _anthropic(self, name: str) -> Model:
        from anthropic import AsyncAnthropic
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        client = AsyncAnthropic(
            api_key=self.settings.anthropic_key,
            base_url=self.settings.anthropic_base_url,
            max_retries=self.settings.retries,
            http_client=self._http(),
        )
        return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=client))


def sees_images(model_id: str) -> bool:
    """Whether a model is shown images. Of a compatible server's models only those whose name says so."""
    provider, _, name = model_id.partition(":")
    if provider == "openai-chat":
        return any(word in name.lower() for word in ("vl", "vision", "llava", "pixtral"))
    return provider != "builtin"


def _analyst(_name: str) -> Model:
    from cellblock.adapters.analyst import AnalystModel

    return AnalystModel()
