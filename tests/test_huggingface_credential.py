# -*- coding: utf-8 -*-
"""The hub's token is kept, and never shown."""

from huggingface_credential import HuggingFaceCredential
from huggingface_model import HuggingFaceWrapper

TOKEN = "hf_SecretSecretSecretSecret"


def test_it_belongs_to_the_wrapper() -> None:
    assert HuggingFaceCredential.get_chat_model_class() is HuggingFaceWrapper


def test_no_token_is_needed() -> None:
    assert HuggingFaceCredential().token is None


def test_the_token_is_kept_and_never_shown() -> None:
    credential = HuggingFaceCredential(token=TOKEN)
    assert credential.token.get_secret_value() == TOKEN
    assert TOKEN not in repr(credential)
    assert TOKEN not in str(credential)
    assert TOKEN not in credential.model_dump_json()


def test_the_form_of_the_token_is_one_for_passwords() -> None:
    schema = HuggingFaceCredential.model_json_schema()
    assert "password" in str(schema["properties"]["token"])
    assert schema["title"] == "Hugging Face (local)"
