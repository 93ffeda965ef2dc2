"""The annotated ``swim.toml``: every setting with its default, as a comment."""

from __future__ import annotations

from pathlib import Path

_INSTALLED = Path(__file__).parent / "swim.toml"
_IN_CHECKOUT = Path(__file__).parents[3] / "config" / "swim.toml"


def read_template() -> str:
    """Read it from the installed package, or from the checkout that this code runs from."""
    return (_INSTALLED if _INSTALLED.exists() else _IN_CHECKOUT).read_text("utf-8")
