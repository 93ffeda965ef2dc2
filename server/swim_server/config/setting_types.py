"""Types of single settings. A range is in ``Meta``; any other rule is named there and implemented in ``rules``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1)]
Duration = Annotated[str, Meta(extra={"rule": "duration"})]
"""A number with a unit: ``500ms``, ``30s``, ``15m``, ``24h``, ``7d``; a bare number means seconds."""
FilePath = Annotated[str, Meta(extra={"rule": "path"})]
"""Relative to the folder of the configuration file; in an option or variable, to the working directory."""
SourceName = Annotated[str, Meta(extra={"rule": "name"})]
FeedUrl = Annotated[str, Meta(extra={"rule": "feed_url"})]
SqlName = Annotated[str, Meta(extra={"rule": "sql_name"})]
