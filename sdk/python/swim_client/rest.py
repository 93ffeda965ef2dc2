"""The state over HTTP, under the names of the former REST client: flights, positions, traffic management programs.

Nothing beside the standard library is needed. Each method has an ``_async`` twin. Fields are those of the stream's
events (``callsign``, ``dep``, ``arr``, ``altitude_ft`` …), not the former nested ones. What this service does not
serve raises NotServed, which says what to use instead.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from types import TracebackType
from typing import Any, Awaitable, Callable, Dict, List, NoReturn, Optional, Type, Union

from swim_client.addresses import Urls, split_urls
from swim_client.errors import AuthenticationError, ConnectionLost, RequestRefused, SwimError
from swim_client.opening import DEFAULT_URL, USER_AGENT, ApiKey

Names = Union[str, List[str], None]
Document = Dict[str, Any]
_ENDED = frozenset({"ARRIVED"})


class NotServed(SwimError):
    """The former service offered this, but this one does not."""

    def __init__(self, name: str, instead: str) -> None:
        self.name = name
        self.instead = instead
        super().__init__(name, instead)

    def __str__(self) -> str:
        return f"{self.name}: this service does not serve it; {self.instead}"


class SWIMRestClient:
    """Requests the current state. Raises AuthenticationError, RequestRefused, ConnectionLost."""

    def __init__(
        self, api_key: Optional[str] = None, base_url: Optional[Urls] = None, timeout: float = 30.0, debug: bool = False
    ) -> None:
        """Set the key (default ``SWIM_API_KEY``) and the address (default: that of ``SWIM_URL``, over HTTP).

        Of several addresses the next one is asked where one can't be reached.
        """
        self._key = ApiKey.find(api_key)
        named = [_http_url(url) for url in split_urls(os.environ.get("SWIM_URL") or DEFAULT_URL)]
        self._base_urls = [url.rstrip("/") for url in (split_urls(base_url) if base_url else named)]
        self.base_url = self._base_urls[0]
        """The address in use."""
        self.timeout = timeout
        self.debug = debug

    @property
    def api_key(self) -> str:
        """The key itself."""
        return self._key.reveal()

    # Flights.

    def get_flights(
        self,
        status: str = "active",
        dept_icao: Names = None,
        dest_icao: Names = None,
        artcc: Names = None,
        callsign: Optional[str] = None,
        tmi_controlled: Optional[bool] = None,
        phase: Names = None,
        format: str = "legacy",
        page: int = 1,
        per_page: int = 100,
    ) -> Document:
        """Return a page of the flights: ``data`` and ``pagination``. ``callsign`` may have ``*``."""
        if tmi_controlled is not None:
            _not_served("tmi_controlled", "use get_tmi_programs, and the flights of its airports")
        found = self._flights(dept_icao, dest_icao, artcc, phase)
        if status != "all":
            found = [each for each in found if (each.get("phase") in _ENDED) == (status == "completed")]
        if callsign is not None:
            found = [each for each in found if fnmatch.fnmatchcase(str(each.get("callsign")), callsign.upper())]
        start = (page - 1) * per_page
        pages = -(-len(found) // per_page)
        pagination = {"page": page, "per_page": per_page, "total": len(found), "total_pages": pages}
        return {"data": found[start : start + per_page], "pagination": pagination}

    def get_flight(
        self, gufi: Optional[str] = None, flight_key: Union[str, int, None] = None, format: str = "legacy"
    ) -> Document:
        """Return one flight by its uid or callsign, given as ``flight_key``."""
        if flight_key is None:
            _not_served("gufi", "ask by flight_key: the flight_uid or the callsign")
        return dict(self._get(f"/flights/{urllib.parse.quote(str(flight_key), safe='')}", {"format": "json"}))

    def get_positions(
        self,
        dept_icao: Names = None,
        dest_icao: Names = None,
        artcc: Names = None,
        bounds: Optional[str] = None,
        tmi_controlled: Optional[bool] = None,
        phase: Names = None,
        include_route: bool = False,
    ) -> Document:
        """Return positions as GeoJSON. ``bounds``: ``west,south,east,north``."""
        if tmi_controlled is not None:
            _not_served("tmi_controlled", "use get_tmi_programs, and the positions at its airports")
        parameters = _filters(dept_icao, dest_icao, artcc, phase)
        if bounds is not None:
            west, south, east, north = bounds.split(",")
            parameters["bbox"] = f"{north},{south},{east},{west}"
        document = dict(self._get("/flights", {**parameters, "format": "geojson"}))
        kept = [each for each in document["features"] if _is_leg(each["properties"], dept_icao, dest_icao)]
        if not include_route:
            for each in kept:
                each["properties"].pop("route", None)
        return {**document, "features": kept}

    def _flights(self, dept_icao: Names, dest_icao: Names, artcc: Names, phase: Names) -> List[Document]:
        document = self._get("/flights", {**_filters(dept_icao, dest_icao, artcc, phase), "format": "json"})
        return [each for each in document["flights"] if _is_leg(each, dept_icao, dest_icao)]

    # Traffic management.

    def get_tmi_programs(
        self,
        type: str = "all",
        airport: Optional[str] = None,
        artcc: Optional[str] = None,
        include_history: bool = False,
    ) -> Document:
        """Return what is in force: ``ground_stops``, ``gdp_programs``, ``other``, and their numbers as ``summary``."""
        if include_history:
            _not_served("include_history", "subscribe to tmi.* with since=")
        parameters = {**({"airports": airport} if airport else {}), **({"artccs": artcc} if artcc else {})}
        groups: Dict[str, List[Document]] = {"ground_stops": [], "gdp_programs": [], "other": []}
        for program in self._get("/tmis", {**parameters, "format": "json"})["tmis"]:
            groups[_group(str(program.get("program_type") or ""))].append(program)
        wanted = {"gs": ("ground_stops",), "gdp": ("gdp_programs",)}.get(type, tuple(groups))
        shown = {name: rows if name in wanted else [] for name, rows in groups.items()}
        return {**shown, "summary": {name: len(rows) for name, rows in shown.items()}}

    def get_tmi_controlled(self, airport: Optional[str] = None, program_type: Optional[str] = None) -> NoReturn:
        """Raise NotServed."""
        _not_served("get_tmi_controlled", "use get_tmi_programs, and the flights of its airports")

    def ingest_flights(self, flights: Any) -> NoReturn:
        """Raise NotServed."""
        _not_served("ingest_flights", "SWIMClient.publish('flight.updated', …) or POST /events, with a system key")

    def ingest_tracks(self, tracks: Any) -> NoReturn:
        """Raise NotServed."""
        _not_served("ingest_tracks", "SWIMClient.publish('flight.positions', …) or POST /events, with a system key")

    def get_api_info(self) -> Document:
        """Return the OpenAPI description of the service."""
        return dict(self._get("/openapi.json", {}))

    # The same in async code, in a thread of the loop's pool.

    async def get_flights_async(self, *args: Any, **more: Any) -> Document:
        """Return what ``get_flights`` returns."""
        return await _in_thread(self.get_flights, *args, **more)

    async def get_flight_async(self, *args: Any, **more: Any) -> Document:
        """Return what ``get_flight`` returns."""
        return await _in_thread(self.get_flight, *args, **more)

    async def get_positions_async(self, *args: Any, **more: Any) -> Document:
        """Return what ``get_positions`` returns."""
        return await _in_thread(self.get_positions, *args, **more)

    async def get_tmi_programs_async(self, *args: Any, **more: Any) -> Document:
        """Return what ``get_tmi_programs`` returns."""
        return await _in_thread(self.get_tmi_programs, *args, **more)

    async def get_api_info_async(self) -> Document:
        """Return what ``get_api_info`` returns."""
        return await _in_thread(self.get_api_info)

    # The wire.

    def _get(self, path: str, parameters: Dict[str, str]) -> Any:
        urls = [self.base_url]
        problems: List[str] = []
        if self.base_url in self._base_urls:
            at = self._base_urls.index(self.base_url)
            urls += [*self._base_urls[at + 1 :], *self._base_urls[:at]]
        for url in urls:
            try:
                answer = self._get_from(url, path, parameters)
            except OSError as problem:
                problems.append(f"can't reach {url}: {getattr(problem, 'reason', None) or problem}")
            else:
                self.base_url = url
                return answer
        raise ConnectionLost(self._key.redact("; ".join(problems)))

    def _get_from(self, url: str, path: str, parameters: Dict[str, str]) -> Any:
        query = f"?{urllib.parse.urlencode(parameters, safe=',')}" if parameters else ""
        headers = {"X-SWIM-API-Key": self._key.reveal(), "User-Agent": USER_AGENT, "Accept": "application/json"}
        request = urllib.request.Request(url + path + query, headers=headers)
        try:
            with _OPENER.open(request, timeout=self.timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            raise self._refused(refused) from None
        except ValueError as problem:
            raise ConnectionLost(f"{url}{path} answered what is no JSON: {problem}") from None

    def _refused(self, refused: urllib.error.HTTPError) -> SwimError:
        try:
            told = json.load(refused)
            code, message = str(told["code"]), str(told["message"])
        except (ValueError, KeyError, TypeError):
            code, message = f"HTTP_{refused.code}", f"the server answered HTTP {refused.code}"
        message = self._key.redact(message)
        return AuthenticationError(message, 401) if refused.code == 401 else RequestRefused(code, message, {})

    # Former programs open and close it.

    def close(self) -> None:
        """Do nothing: each request has a connection of its own."""

    async def close_async(self) -> None:
        """Do nothing: each request has a connection of its own."""

    def __enter__(self) -> SWIMRestClient:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        self.close()

    async def __aenter__(self) -> SWIMRestClient:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        await self.close_async()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, so that the key is sent to no other host."""

    def redirect_request(self, *args: Any, **more: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


async def _in_thread(work: Callable[..., Document], *args: Any, **more: Any) -> Document:
    done: Awaitable[Document] = asyncio.get_running_loop().run_in_executor(None, lambda: work(*args, **more))
    return await done


def _http_url(url: str) -> str:
    """Derive the HTTP address from a WebSocket address: the same host and path, without the last path segment."""
    parts = urllib.parse.urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    path = parts.path.rstrip("/")
    if path.endswith("/ws"):
        path = path[: -len("/ws")]
    return urllib.parse.urlunsplit((scheme, parts.netloc.rpartition("@")[2], path, "", ""))


def _filters(dept_icao: Names, dest_icao: Names, artcc: Names, phase: Names) -> Dict[str, str]:
    airports = [*_list(dept_icao), *_list(dest_icao)]
    given = {"airports": airports, "artccs": _list(artcc), "phase": _list(phase)}
    return {name: ",".join(values) for name, values in given.items() if values}


def _is_leg(flight: Document, dept_icao: Names, dest_icao: Names) -> bool:
    """Return True if a flight departs and arrives as asked; the service's own filter accepts either airport."""
    departures, arrivals = _list(dept_icao), _list(dest_icao)
    return (not departures or flight.get("dep") in departures) and (not arrivals or flight.get("arr") in arrivals)


def _list(names: Names) -> List[str]:
    given = [names] if isinstance(names, str) else names or []
    return [name.strip().upper() for each in given for name in each.split(",") if name.strip()]


def _group(program_type: str) -> str:
    kind = program_type.upper()
    if kind in ("GS", "GROUND_STOP", "GROUND STOP"):
        return "ground_stops"
    return "gdp_programs" if kind.startswith("GDP") else "other"


def _not_served(name: str, instead: str) -> NoReturn:
    raise NotServed(name, instead)
