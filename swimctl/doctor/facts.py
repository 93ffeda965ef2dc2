"""Observations: each fact once, with where and when it was read; evaluated here, or elsewhere from a file.

Every request for a fact gets the first one's value or error, so that checks can't contradict each other. A book read
from a file observes nothing: a fact that it lacks raises ``NotSaved``.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast, get_type_hints

import msgspec

from swimctl.doctor.fact_errors import SavedError, error_of, saved_error

T = TypeVar("T")
Work = Coroutine[Any, Any, T]
"""What observes asynchronously."""

_asker: ContextVar[str | None] = ContextVar("asker", default=None)
"""The check that is asking."""


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One observation."""

    name: str
    """What was observed: ``kernel.links``, ``process.status``."""
    about: str = ""
    """The process, file or address that it concerns."""
    source: str
    """Where it was read."""
    at: float
    """Unix time."""
    seconds: float
    """How long the observation took."""
    value: Any = None
    error: SavedError | None = None
    """The error raised instead."""

    @property
    def id(self) -> str:
        return f"{self.name}({self.about})" if self.about else self.name


class NotSaved(Exception):
    """The fact was not observed when the facts were saved."""

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(id)

    def __str__(self) -> str:
        return f"{self.id} is not among the saved facts"


class ShapeOf(NamedTuple):
    """A type that is looked up only when a fact is read from a file."""

    find: Callable[[], Any]


class FactBook:
    """The facts of one run. For coroutines (``find``) and threads (``look``)."""

    def __init__(self, saved: Mapping[str, Fact] | None = None) -> None:
        self.is_saved = saved is not None
        """Nothing is observed: the facts come from a file."""
        self.facts: dict[str, Fact] = dict(saved or {})
        """The newest observation of each fact, by id."""
        self.used: dict[str, list[str]] = {}
        """By check: the ids of the facts that it asked for, in order."""
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._looks: dict[str, Future[Any]] = {}
        self._mutex = threading.Lock()

    @contextmanager
    def asked_by(self, check: str) -> Iterator[None]:
        """Record which check asks for the facts requested inside."""
        token = _asker.set(check)
        try:
            yield
        finally:
            _asker.reset(token)

    async def find(
        self,
        name: str,
        observe: Callable[[], Work[T]],
        *,
        source: str,
        about: str = "",
        shape: Any = Any,
        encode: Callable[[T], Any] | None = None,
    ) -> T:
        """Observe a fact once. ``shape``: its type when read from a file; ``encode``: makes the value that is saved."""
        id = self._note(name, about)
        if self.is_saved:
            return cast("T", self._saved(id, shape))
        if id not in self._tasks:

            async def work() -> T:
                _asker.set(None)  # facts used to make this one were not requested by the check
                began = time.time(), time.perf_counter()
                try:
                    value = await observe()
                except Exception as error:
                    self._keep(name, about, source, began, error=error)
                    raise
                self._keep(name, about, source, began, value=value if encode is None else encode(value))
                return value

            self._tasks[id] = asyncio.create_task(work())
        return cast("T", await asyncio.shield(self._tasks[id]))

    def look(self, name: str, observe: Callable[[], T], *, source: str, about: str = "", shape: Any = Any) -> T:
        """Observe a fact once, in this thread. Blocks. ``shape``: as for ``find``, or a ``ShapeOf``."""
        id = self._note(name, about)
        if self.is_saved:
            return cast("T", self._saved(id, shape.find() if isinstance(shape, ShapeOf) else shape))
        with self._mutex:
            known = self._looks.get(id)
            future = self._looks[id] = known or Future()
        if known is None:
            began = time.time(), time.perf_counter()
            try:
                value = observe()
            except Exception as error:  # noqa: BLE001  # whoever asks is told, now and later
                self._keep(name, about, source, began, error=error)
                future.set_exception(error)
            else:
                self._keep(name, about, source, began, value=value)
                future.set_result(value)
        return cast("T", future.result())

    def forget(self, *beginnings: str) -> None:
        """Let facts be observed again on the next request, because they may be changing."""
        with self._mutex:
            for id in [each for each, future in self._looks.items() if future.done() and each.startswith(beginnings)]:
                del self._looks[id]
        for id in [each for each, task in self._tasks.items() if task.done() and each.startswith(beginnings)]:
            del self._tasks[id]

    def forget_errors(self, *beginnings: str) -> None:
        """Let facts that could not be observed be observed again: what they need has come back."""
        for id in [each for each, task in self._tasks.items() if each.startswith(beginnings) and _has_failed(task)]:
            del self._tasks[id]

    def seen_at(self, *ids: str) -> float:
        """Return the Unix time at which the last of these observations was complete; 0 if none was made."""
        return max((self.facts[id].at + self.facts[id].seconds for id in ids if id in self.facts), default=0.0)

    def seconds_of(self, id: str) -> float:
        """Return how long an observation took; 0 if it was not made."""
        return self.facts[id].seconds if id in self.facts else 0.0

    async def close(self) -> None:
        """Cancel pending observations."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _note(self, name: str, about: str) -> str:
        id = f"{name}({about})" if about else name
        asker = _asker.get()
        if asker is not None:
            used = self.used.setdefault(asker, [])
            if id not in used:
                used.append(id)
        return id

    def _saved(self, id: str, shape: Any) -> Any:
        fact = self.facts.get(id)
        if fact is None:
            raise NotSaved(id)
        if fact.error is not None:
            raise error_of(fact.error)
        return decoded(fact.value, shape)

    def _keep(
        self,
        name: str,
        about: str,
        source: str,
        began: tuple[float, float],
        *,
        value: object = None,
        error: Exception | None = None,
    ) -> None:
        fact = Fact(
            name=name, about=about, source=source, at=round(began[0], 3),
            seconds=round(time.perf_counter() - began[1], 4), value=value,
            error=None if error is None else saved_error(error),
        )  # fmt: skip
        self.facts[fact.id] = fact


def _has_failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def encoded(value: object) -> object:
    """Convert a value to JSON's types."""
    return msgspec.to_builtins(value, enc_hook=_encode, str_keys=True)


def decoded(value: object, shape: Any) -> Any:
    """Convert a value from JSON's types. Raises msgspec.ValidationError."""
    return msgspec.convert(value, shape, dec_hook=_decode, str_keys=True)


def _encode(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"no fact may hold a {type(value).__name__}")


def _decode(shape: type[Any], value: Any) -> object:
    if shape is Path:
        return Path(value)
    raise NotImplementedError(f"no fact may hold a {shape.__name__}")


def observing(looker: T, prefix: str, source: str, facts: FactBook) -> T:
    """Return an object like ``looker`` whose public methods are facts: called once, with the result kept."""
    base: type[Any] = type(looker)

    def method(name: str) -> Callable[..., object]:
        def observe(_: object, *words: object, **more: object) -> object:
            about = ", ".join(str(each) for each in (*words, *more.values()))
            return facts.look(
                f"{prefix}.{name}",
                lambda: getattr(looker, name)(*words, **more),
                source=source,
                about=about,
                shape=ShapeOf(lambda: get_type_hints(getattr(base, name))["return"]),
            )

        return observe

    names = [name for name in dir(base) if not name.startswith("_") and callable(getattr(base, name))]
    made: Any = type(f"Observed{base.__name__}", (base,), {name: method(name) for name in names})
    found = made.__new__(made)
    found.__dict__.update(vars(looker))
    return cast("T", found)
