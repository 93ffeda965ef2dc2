"""The progress of long work: a bar on standard error, on terminals only, removed when the work is done."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from swimctl.output import Output

DRAW_SECONDS = 0.2
QUIET_SECONDS = 0.5
"""Work that finishes sooner shows no progress."""


class Progress:
    """Counts the work done. ``total``: how much there is, if known; otherwise only count and rate are shown.

    ``is_one_piece``: the work has no measurable progress; the display only shows that it is running.
    """

    def __init__(
        self,
        messages: Output,
        what: str,
        total: float | None = None,
        unit: str = "events",
        *,
        is_one_piece: bool = False,
    ) -> None:
        self.done = 0
        self._messages = messages
        self._what = what
        self._total = total
        self._unit = unit
        self._is_one_piece = is_one_piece
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._began = self._drawn_at = time.monotonic()

    def __enter__(self) -> Self:
        if self._is_one_piece and self._messages.can_redraw:
            self._draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.clear()
        if kind is KeyboardInterrupt and self._messages.is_terminal:
            self._messages.line(f"interrupted: {self.told}")

    @property
    def told(self) -> str:
        """The progress in words."""
        of = f" of {self._total:,.0f}" if self._total else ""
        return f"{self.done:,}{of} {self._unit}"

    def advance(self, by: int = 1) -> None:
        """Add to the work done."""
        self.set(self.done + by)

    def set(self, done: int) -> None:
        """Set the work done so far."""
        self.done = done
        now = time.monotonic()
        if not self._messages.can_redraw or now - self._drawn_at < DRAW_SECONDS or now - self._began < QUIET_SECONDS:
            return
        self._drawn_at = now
        self._draw()

    def line(self, text: str) -> None:
        """Write a line that stays, above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            self._messages.line(text)

    def clear(self) -> None:
        """Remove the bar. Idempotent."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _draw(self) -> None:
        if self._bar is None:
            self._bar = self._new_bar()
            self._task = self._bar.add_task(self._what, total=self._total, told="", rate="")
            self._bar.start()
        assert self._task is not None, "it is made with its bar"
        seconds = max(time.monotonic() - self._began, 0.001)
        self._bar.update(self._task, completed=self.done, told=self.told, rate=f"{self.done / seconds:,.0f}/s")
        self._bar.refresh()

    def _new_bar(self) -> RichProgress:
        from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns: list[ProgressColumn] = [TextColumn("{task.description}")]
        if not self._is_one_piece:
            columns += [TextColumn("{task.fields[told]}"), TextColumn("{task.fields[rate]}", style="dim")]
        bar: list[ProgressColumn] = (
            [BarColumn(bar_width=24), TimeRemainingColumn()] if self._total else [TimeElapsedColumn()]
        )
        return RichProgress(
            *columns, *bar, console=self._messages.console(), transient=True, auto_refresh=self._is_one_piece
        )
