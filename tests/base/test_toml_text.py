"""Values that are said on a command line."""

from __future__ import annotations

import pytest

from ulnn_host.base.errors import UlnnError
from ulnn_host.base.toml_text import values


def test_values_are_toml_or_words() -> None:
    said = [
        "epochs=50",
        "label = what",
        'valid_groups=["eve", "bob"]',
        "drop=0.3",
        "dt_input=true",
    ]
    assert values(said) == {
        "epochs": 50,
        "label": "what",
        "valid_groups": ["eve", "bob"],
        "drop": 0.3,
        "dt_input": True,
    }


@pytest.mark.parametrize("text", ["epochs", "=5", "epochs=", ""])
def test_what_is_no_value_is_named(text: str) -> None:
    with pytest.raises(UlnnError, match="expected KEY=VALUE"):
        values([text])


def test_a_key_is_said_once() -> None:
    with pytest.raises(UlnnError, match="epochs is said twice"):
        values(["epochs=1", "epochs=2"])
