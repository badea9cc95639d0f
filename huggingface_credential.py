# -*- coding: utf-8 -*-
"""The access to the Hugging Face hub, as AgentScope keeps it.

Reads no environment. Raises nothing.
"""

from typing import TYPE_CHECKING, Literal, Type

from agentscope.credential import CredentialBase
from pydantic import ConfigDict, Field, SecretStr

if TYPE_CHECKING:
    from huggingface_model import HuggingFaceWrapper


class HuggingFaceCredential(CredentialBase):
    """The access to the Hugging Face hub; open models need none."""

    model_config = ConfigDict(title="Hugging Face (local)")

    type: Literal["huggingface_credential"] = "huggingface_credential"
    """The credential type."""

    token: SecretStr | None = Field(
        default=None,
        title="Access token",
        description="For gated and private repositories. Left empty, HF_TOKEN "
        "or HUGGINGFACE_TOKEN is taken from the environment or from .env.",
    )
    """The hub's token."""

    @classmethod
    def get_chat_model_class(cls) -> Type["HuggingFaceWrapper"]:
        """Return the `HuggingFaceWrapper` class."""
        from huggingface_model import HuggingFaceWrapper

        return HuggingFaceWrapper
