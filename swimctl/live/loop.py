"""The live table on a terminal: reads the stream, redraws when something is new, leaves a clean screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from swimctl.client.stream_items import StreamItem, Subscribed
from swimctl.live.model import TailModel
from swimctl.live.screen import Screen, wants_to_quit

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from swimctl.client.event_stream import EventStream

FRAME_SECONDS = 0.125
IDLE_FRAME_SECONDS = 1.0
"""The display is updated this often even without events: rates fall and clocks advance."""
ASK_SECONDS = 5.0
LEFT_ROWS = 15
"""Lines that stay on the terminal when the table ends."""


def show_live(
    stream: EventStream,
    model: TailModel,
    console: Console,
    *,
    until: Callable[[StreamItem], bool],
    banner: Sequence[Text] = (),
    asks_status: bool = False,
) -> None:
    """Show the table until ``until`` returns True, q is pressed or a signal arrives; leave its last picture behind."""
    from swimctl.live.view import frame

    began = time.monotonic()

    def draw() -> RenderableType:
        now = time.monotonic()
        return frame(model, console.width, console.height, now, elapsed=now - began, banner=banner)

    try:
        with Screen(console) as screen:
            _loop(stream, model, until, screen, lambda: screen.draw(draw()), asks_status=asks_status)
    finally:
        _leave_behind(model, console, began)


def _loop(
    stream: EventStream,
    model: TailModel,
    until: Callable[[StreamItem], bool],
    screen: Screen,
    draw: Callable[[], None],
    *,
    asks_status: bool,
) -> None:
    frame_at = ask_at = 0.0
    is_dirty = True
    drawn_at = 0.0
    while True:
        now = time.monotonic()
        if now >= frame_at and (is_dirty or now - drawn_at >= IDLE_FRAME_SECONDS):
            draw()
            is_dirty, drawn_at = False, now
            frame_at = now + FRAME_SECONDS
        if keys := screen.keys():
            if wants_to_quit(keys):
                return
            model.press(keys)
            is_dirty = True
        if asks_status and now >= ask_at:
            stream.ask("status")
            ask_at = now + ASK_SECONDS
        item = stream.next(max(0.0, frame_at - time.monotonic()) if is_dirty else FRAME_SECONDS)
        if item is not None:
            model.apply(item, time.monotonic())
            _settle(model, stream, item)
            is_dirty = True
            if until(item):
                draw()
                return


def _settle(model: TailModel, stream: EventStream, item: StreamItem) -> None:
    if isinstance(item, Subscribed) and not stream.is_catching_up:
        model.settle()


def _leave_behind(model: TailModel, console: Console, began: float) -> None:
    from rich.text import Text

    from swimctl.live.view import events, header

    now = time.monotonic()
    console.print(events(model, console.width, min(LEFT_ROWS, max(1, len(model.rows)))))
    console.print(Text())
    for line in header(model, console.width, now, now - began)[1:]:
        console.print(line)
