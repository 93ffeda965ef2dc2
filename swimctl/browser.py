"""Whether this user sits before a browser, or far away behind a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def has_display(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Tell whether a browser would have a window; a text browser in the terminal is none."""
    if platform in ("darwin", "win32"):
        return "SSH_CONNECTION" not in environ
    return any(environ.get(name) for name in DISPLAYS)
