"""The independent checker: compares what a started daemon reports with what everybody knew before."""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Iterable, Sequence
from typing import Any

from support.disk import home_files
from support.disk.forked_daemon import DidNotStart, ForkedDaemon
from support.disk.judgement import Judgement
from support.disk.ledger import EventKey, Ledger, event_key, is_content
from support.disk.probes import PROBES, event_row, put_probes
from support.disk.wire import Closed, InvalidText, Wire

CHANNELS = ["flight.departed", "flight.arrived", "flight.deleted"]
OTHERS = {"subscribed", "system.heartbeat", "error"}
"""What else a client is sent."""
TRY_LATER, REFUSED = 1013, 4001
UNREADABLE = "HISTORY_UNAVAILABLE"
NAMES_LOST = ("some producers' event ids are lost", "the table of producers' event ids was damaged")
"""What the log says when the same event would be stored again."""
PATIENCE_SECONDS, ADMISSION_SECONDS = 180.0, 5.0
GRACE_SECONDS = 0.2
"""So long after the last event a client may still be told that something is missing."""
KEYS_TRIED = 6
LOGGED_CHARACTERS = 600
_IDS = re.compile(r"\d{1,15}-\d{1,9}")


class Judge:
    """Judges one image: starts ``daemon`` on it and compares with ``ledger``."""

    def __init__(
        self,
        daemon: ForkedDaemon,
        ledger: Ledger,
        rng: random.Random,
        *,
        repeated: Sequence[str] = (),
        tag: str = "",
        patience_seconds: float = PATIENCE_SECONDS,
        admission_seconds: float = ADMISSION_SECONDS,
    ) -> None:
        """``repeated``: names that a publisher publishes again, as it does when it doesn't know whether they came.

        ``tag`` tells the probes of one judge from those of another on the same disk. ``patience_seconds``: how long
        reading everything may take. ``admission_seconds``: how long a client comes again that is told to.
        """
        self.judgement = Judgement()
        self._daemon = daemon
        self._ledger = ledger
        self._rng = rng
        self._repeated = repeated
        self._tag = tag
        self._patience_seconds = patience_seconds
        self._admission_seconds = admission_seconds
        self._probes = {name + tag for name in PROBES}
        self._names: dict[str, str] = {}
        """Of the events found, with their ids."""
        self._ids: list[str] = []
        """In the order in which they came."""

    def judge(self, listener_key: str, oldest: str) -> Judgement:
        """Start, ask, end. ``oldest``: an id that has been on the disk for long; reading begins after it."""
        put_probes(self._daemon, self._tag)
        try:
            self._daemon.start()
        except DidNotStart as reason:
            self.judgement.find("not_started", 1, reason)
            return self.judgement
        try:
            self.ask(listener_key, oldest)
        finally:
            self._daemon.kill()
        aside = [path.name for path in self._daemon.home.glob(home_files.SET_ASIDE)]
        reasons = [line for line in self._daemon.log.splitlines() if "set aside" in line]
        self.judgement.find("set_aside", len(aside), reasons or aside)
        return self.judgement

    def ask(self, listener_key: str, oldest: str) -> None:
        """Ask the running daemon about everything; the sources' probes are already in place."""
        try:
            control = Wire.control(self._daemon.control_socket)
            control.publish([event_row(f"probe-control{self._tag}")])
            if not self._read_all(self._admitted(listener_key), oldest):
                return  # what did not come is not known to be lost
            self._compare_events()
            self._compare_clients(listener_key, oldest)
            self._compare_positions(listener_key)
            self._compare_keys()
            self._compare_settings()
            self._publish_again(control)
            control.close()
        except InvalidText as error:
            self.judgement.find("unreadable", 1, error)
        except (Closed, TimeoutError, RuntimeError, OSError) as error:
            is_told = isinstance(error, Closed) and error.code in (TRY_LATER, REFUSED)
            where = f"{type(error).__name__}: {error}; log: {self._last_words()}"
            self.judgement.find("turned_away" if is_told else "stuck", 1, where)

    def _last_words(self) -> str:
        """What the daemon has logged of trouble, the end of it."""
        lines = [line for line in self._daemon.log.splitlines() if "[error" in line or "[warning" in line]
        return " | ".join(lines)[-LOGGED_CHARACTERS:]

    def _admitted(self, listener_key: str) -> Wire:
        """Connect; come again while the daemon says so. Raises Closed when that lasts for too long."""
        deadline = time.monotonic() + self._admission_seconds
        while True:
            try:
                return Wire.connect(self._daemon.port, listener_key)
            except Closed as closed:
                if closed.code != TRY_LATER or time.monotonic() >= deadline:
                    raise
                time.sleep(0.2)

    def _read_all(self, wire: Wire, oldest: str) -> bool:
        """Read until all probes have come; tell whether they have."""
        wire.send({"action": "subscribe", "channels": CHANNELS, "after": oldest})
        waited = set(self._probes)
        deadline = time.monotonic() + self._patience_seconds
        while waited and time.monotonic() < deadline:
            message = wire.next()
            if message.get("type") not in OTHERS:
                waited.discard(self._take(message))
        self.judgement.find("stuck", len(waited), f"never came: {sorted(waited)}")
        wire.close()
        return not waited

    def _take(self, message: dict[str, Any]) -> str:
        """Process an event; return its name."""
        data, event_id = message.get("data"), message.get("id")
        is_right = isinstance(data, dict) and message.get("type") in CHANNELS and is_content(data)
        self.judgement.find("wrong_content", not is_right, message)
        if not isinstance(data, dict) or not isinstance(event_id, str) or not _IDS.fullmatch(event_id):
            return ""
        name = str(data.get("callsign"))
        self.judgement.find("repeated", name in self._names, f"{name}: {self._names.get(name)} and {event_id}")
        if self._ids:
            is_later = event_key(event_id) > event_key(self._ids[-1])
            self.judgement.find("reordered", not is_later, f"{event_id} after {self._ids[-1]}")
        self._names[name] = event_id
        self._ids.append(event_id)
        return name

    def _compare_events(self) -> None:
        ledger, found = self._ledger, self._names
        known = ledger.known
        changed = [f"{name}: {known[name]}, now {found[name]}" for name in known.keys() & found.keys()
                   if known[name] != found[name] and name not in ledger.given]  # fmt: skip
        lost = known.keys() - found.keys()
        anew = set(changed) if lost else set()  # what a publisher or source has repeated after a loss has a new id
        self.judgement.find("repeated", len(changed) - len(anew), changed[:3])
        strangers = {name for name in found.keys() - ledger.sent - known.keys() if not name.startswith("probe-")}
        self.judgement.find("never_published", len(strangers), sorted(strangers)[:3])
        by_id = {event_id: name for name, event_id in known.items()}
        reused = [event_id for event_id in self._ids if by_id.get(event_id, self._at(event_id)) != self._at(event_id)]
        newest_known = max(map(event_key, known.values()), default=(0, 0))
        late = [found[name] for name in self._probes & found.keys() if event_key(found[name]) <= newest_known]
        self.judgement.find("reused", len(reused) + len(late), (reused + late)[:3])
        gone = ledger.given.keys() - found.keys()
        self.judgement.find("lost_by_provider", len(gone), sorted(gone)[:3])

    def _at(self, event_id: str) -> str:
        if not hasattr(self, "_by_id"):
            self._by_id = {found: name for name, found in self._names.items()}
        return self._by_id.get(event_id, "")

    def _compare_clients(self, listener_key: str, oldest: str) -> None:
        present = set(self._ids)
        known = sorted((event_key(event_id), event_id) for event_id in self._ledger.known.values())
        missing = [key for key, event_id in known if event_id not in present and key > event_key(oldest)]
        places = set(self._ledger.clients.values()) or {oldest}
        places.add(known[-1][1])
        if missing:  # those who stand before, and in the midst of, what is gone
            before = [event_id for key, event_id in known if key < missing[0]]
            places |= {before[-1] if before else oldest, _written(self._rng.choice(missing))}
        is_told, read = True, self._rng.choice(sorted(places))
        wires = self._connected([(place, listener_key) for place in sorted(places, key=event_key)])
        for place, wire in wires.items():
            wire.welcomed().send({"action": "subscribe", "channels": CHANNELS, "after": place})
        for place, wire in wires.items():
            behind = [key for key in missing if key > event_key(place)]
            has_gap = self._resume(wire, place, is_read=place == read, is_missing=bool(behind))
            if behind and not has_gap:
                is_told = False
            self.judgement.find("lost_silently", len(behind) * (not has_gap), f"after {place}: {len(behind)} events")
            self.judgement.find("needless_gap", has_gap and not missing, f"after {place}")
        self.judgement.find("lost_but_told", len(missing) * is_told, f"{len(missing)} events")

    def _connected(self, clients: Iterable[tuple[str, str]]) -> dict[str, Wire]:
        """Begin to connect as all these clients at once, by name and key: none waits for another one's answer."""
        return {name: Wire.begin(self._daemon.port, api_key) for name, api_key in clients}

    def _resume(self, wire: Wire, place: str, *, is_read: bool, is_missing: bool) -> bool:
        """Resume as a client that saw ``place`` last; was it told of a gap? What comes must be what is there.

        What arrives must be stored. A gap is reported by ``gap``, or by an error if a range turns out to be unreadable.
        """
        is_told = bool(wire.until("subscribed")["gap"])
        is_asking = is_missing and not is_told
        for expected in self._behind(event_key(place)) if is_read or is_asking else []:
            message = wire.until(*CHANNELS, "error")
            while message["type"] == "error":
                is_told |= message.get("code") == UNREADABLE
                message = wire.until(*CHANNELS, "error")
            if message["id"] != expected:
                self.judgement.find("reordered", 1, f"resumed after {place}: {message['id']} instead of {expected}")
                break
        if is_asking and not is_told:
            with contextlib.suppress(TimeoutError):
                is_told = wire.until("error", seconds=GRACE_SECONDS).get("code") == UNREADABLE
        wire.close()
        return is_told

    def _compare_positions(self, listener_key: str) -> None:
        """Check that clients resuming from before retention are told of it."""
        if not self._ledger.positions:
            return
        place = self._rng.choice(self._ledger.positions)
        behind = {event_id for event_id in self._ledger.positions if event_key(event_id) > event_key(place)}
        wire = Wire.connect(self._daemon.port, listener_key)
        wire.send({"action": "subscribe", "channels": ["flight.position"], "after": place})
        is_told = wire.until("subscribed")["gap"]
        with contextlib.suppress(TimeoutError):
            while behind and not is_told:
                behind.discard(wire.until("flight.position")["id"])
        self.judgement.find("lost_silently", len(behind) * (not is_told), f"positions after {place}: {len(behind)}")
        wire.close()

    def _behind(self, place: EventKey) -> list[str]:
        return [event_id for event_id in self._ids if event_key(event_id) > place]

    def _compare_keys(self) -> None:
        sure = [(number, key) for number, key in self._ledger.keys.items() if key.is_sure][-KEYS_TRIED:]
        wires = self._connected([(number, key.api_key) for number, key in sure])
        for number, key in sure:
            try:
                wires[number].welcomed().close()
                is_good = True
            except Closed as closed:
                is_good = False
                if closed.code != REFUSED:
                    raise
            self.judgement.find("key_good_again", is_good and not key.is_good, f"key {number}")
            self.judgement.find("key_lost", key.is_good and not is_good, f"key {number}")

    def _publish_again(self, control: Wire) -> None:
        """A name that is stored, or whose loss is told, is not stored anew silently."""
        names = [name for name in self._repeated if name in self._names]
        if not names:
            return
        answers = control.publish([{**event_row(name), "event_id": name} for name in names])
        anew = [name for name, answer in zip(names, answers, strict=True) if not answer["duplicate"]]
        is_told = any(text in self._daemon.log for text in NAMES_LOST)
        self.judgement.find("repeated_but_told" if is_told else "repeated", len(anew), anew[:3])

    def _compare_settings(self) -> None:
        for name, value in self._ledger.settings.items():
            _, shown = self._daemon.run(["config", "show"])
            line = next((line for line in shown.splitlines() if name.rpartition(".")[2] in line), "")
            self.judgement.find("undone_setting", value not in line, f"{name} was set to {value}: {line!r}")
        for place in self._ledger.resume_ids[-1:]:
            found = home_files.resume_id(self._daemon.root / home_files.RESUME_FILE)
            self.judgement.find("undone_place", found != place, f"a program was told {place}, its file says {found}")


def _written(key: EventKey) -> str:
    return f"{key[0]}-{key[1]}"
