"""What a client of the API may ask. Every parameter that is not declared here is refused by name, never ignored.

Parameters of OpenAI's that this server has no use for are accepted where they ask for nothing (`presence_penalty: 0`).
"""

from abc import abstractmethod
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from instructloop.web.api.problems import FILLED, NAME

Text = Annotated[str, Field(max_length=200_000)]
Filled = Annotated[str, Field(max_length=200_000, pattern=FILLED)]
Stops = (
    Annotated[str, Field(min_length=1, max_length=100)] | Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=4)]
)
Zero = Annotated[float, Field(ge=0, le=0)]
Name = Annotated[str, Field(max_length=128, pattern=NAME)]


class Strict(BaseModel):
    """No key that is not declared, no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class StreamOptions(Strict):
    """What else a stream carries."""

    include_usage: bool = Field(default=False, description="End with a chunk that counts the tokens.")
    include_obfuscation: Literal[False] | None = None


class Generation(Strict):
    """What both kinds of completion have."""

    model: str = Field(max_length=500, description="One of the ids of `GET /v1/models`.")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(default=None, description="0 always takes the likeliest token; 1 if not given.")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(default=None, description="Share of the likeliest tokens to draw from; 1 if not given.")
    n: Annotated[int, Field(ge=1, le=128)] | None = Field(default=None, description="Answers to each prompt; 1 if not given.")
    stop: Stops | None = Field(default=None, description="Up to four texts that end the answer; they are not part of it.")
    seed: Annotated[int, Field(ge=-(2**53), le=2**53)] | None = Field(default=None, description="The same seed gives the same answer.")
    stream: bool | None = Field(default=None, description="Send the answer as server-sent events while it is made.")
    stream_options: StreamOptions | None = None
    user: Name | None = Field(default=None, description="Whose prompt this is: counted for the limit of prompts per user.")
    safety_identifier: Name | None = Field(default=None, description="As `user`, which it replaces.")
    presence_penalty: Zero | None = None
    frequency_penalty: Zero | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None

    @property
    def names_length(self) -> bool:
        """Whether the client says how long the answer may be; a length of ours gives way to what the context has room for."""
        return any(getattr(self, name, None) is not None for name in ("max_tokens", "max_completion_tokens"))

    @property
    @abstractmethod
    def alternatives(self) -> int | None:
        """How many likeliest tokens to name at each place; None if log-probabilities are not asked for."""

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop texts as a tuple."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def speaker(self) -> str | None:
        """For whom the owner of the key asks."""
        return self.safety_identifier or self.user


class CompletionCreate(Generation):
    """`POST /v1/completions`: text that goes on from a prompt."""

    prompt: Filled | Annotated[list[Filled], Field(min_length=1, max_length=16)] = Field(description="One prompt, or several answered together.")
    max_tokens: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Longest answer in tokens; 16 if not given.")
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = Field(
        default=None, description="Give the log-probability of every token of the answer, and of so many of the likeliest at its place."
    )
    best_of: Annotated[int, Field(ge=1, le=1)] | None = None
    echo: Literal[False] | None = None
    suffix: Annotated[str, Field(max_length=0)] | None = None

    @property
    def alternatives(self) -> int | None:
        """How many likeliest tokens to name at each place; None if log-probabilities are not asked for."""
        return self.logprobs

    @property
    def prompts(self) -> list[str]:
        """The prompts as a list."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt


class TextPart(Strict):
    """A piece of a message."""

    type: Literal["text"]
    text: Text


class Message(Strict):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[TextPart], Field(min_length=1)]
    refusal: None = None

    @property
    def words(self) -> str:
        """What it says."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class TextFormat(Strict):
    """The only format of answers there is."""

    type: Literal["text"]


class ChatCreate(Generation):
    """`POST /v1/chat/completions`: the assistant's next turn."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Longest answer in tokens; 256 if not given.")
    max_tokens: Annotated[int, Field(ge=1)] | None = Field(default=None, description="The older name of `max_completion_tokens`.")
    logprobs: bool | None = Field(default=None, description="Give the log-probability of every token of the answer.")
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(
        default=None, description="So many of the likeliest at each place; needs `logprobs`."
    )
    response_format: TextFormat | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    modalities: Annotated[list[Literal["text"]], Field(min_length=1, max_length=1)] | None = None
    store: Literal[False] | None = Field(default=None, description="What is stored follows the consent of the key's owner, not the request.")

    @property
    def alternatives(self) -> int | None:
        """How many likeliest tokens to name at each place; None if log-probabilities are not asked for."""
        return (self.top_logprobs or 0) if self.logprobs else None
