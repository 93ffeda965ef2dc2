"""The invented world's tables: real airports, airlines with hubs and fleets, aircraft types, centres."""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, radians
from typing import NamedTuple

from swim_server.detection.regions import UNKNOWN, Place, Region

SOUTH, NORTH, WEST, EAST = 24.5, 49.0, -125.5, -66.5


class NearestCentre:
    """Finds the region of a place with the precision that a simulation needs. Caches squares of half a degree."""

    def __init__(self) -> None:
        self._by_square: dict[tuple[int, int], Region] = {}

    def around(self, places: Iterable[Place]) -> NearestCentre:
        """Return itself: all places are known."""
        return self

    def locate(self, latitude: float, longitude: float) -> Region:
        """Return the US centre; UNKNOWN abroad."""
        if not (SOUTH <= latitude <= NORTH and WEST <= longitude <= EAST):
            return UNKNOWN
        square = (round(latitude * 2), round(longitude * 2))
        region = self._by_square.get(square)
        if region is None:
            region = self._by_square[square] = _nearest(square[0] / 2, square[1] / 2)
        return region


def _nearest(latitude: float, longitude: float) -> Region:
    narrowing = cos(radians(latitude))
    code = min(
        CENTRES,
        key=lambda centre: (CENTRES[centre][0] - latitude) ** 2 + ((CENTRES[centre][1] - longitude) * narrowing) ** 2,
    )
    return Region(code, f"K{code}") if code.startswith("Z") else UNKNOWN


class AircraftType(NamedTuple):
    """A type and its performance: simple figures, within about 10 per cent."""

    designator: str
    faa: str
    """As in a flight plan's FAA equipment field: ``H/B77W/L``."""
    cruise_kts: int
    cruise_ft: int
    climb_fpm: int
    descent_fpm: int
    rotate_kts: int
    approach_kts: int
    shortest_nm: int
    longest_nm: int
    is_rotorcraft: bool = False


class Airline(NamedTuple):
    """An airline with its hubs and fleet."""

    code: str
    hubs: str
    types: str
    weight: int
    has_letters: bool = False
    """Whether callsigns end in letters (``BAW45K``), as in Europe, rather than being plain numbers (``DAL1234``)."""


TYPES = {
    one.designator: one
    for one in (
        AircraftType("A319", "A319/L", 445, 37_000, 2300, 1900, 138, 132, 150, 2400),
        AircraftType("A320", "A320/L", 450, 36_000, 2200, 1900, 142, 136, 150, 2600),
        AircraftType("A20N", "A20N/L", 450, 37_000, 2300, 1900, 142, 136, 150, 3000),
        AircraftType("A321", "A321/L", 452, 34_000, 2000, 1900, 150, 142, 200, 2800),
        AircraftType("A333", "H/A333/L", 475, 39_000, 1800, 1800, 152, 140, 900, 5500),
        AircraftType("A359", "H/A359/L", 488, 40_000, 2000, 1800, 150, 142, 1800, 7800),
        AircraftType("A388", "J/A388/L", 490, 39_000, 1600, 1700, 158, 142, 2400, 7600),
        AircraftType("B737", "B737/L", 448, 38_000, 2500, 2000, 138, 132, 150, 2600),
        AircraftType("B738", "B738/L", 452, 36_000, 2300, 2000, 145, 140, 150, 2700),
        AircraftType("B38M", "B38M/L", 452, 37_000, 2300, 2000, 146, 141, 200, 3100),
        AircraftType("B739", "B739/L", 452, 35_000, 2100, 2000, 150, 144, 200, 2700),
        AircraftType("B752", "B752/L", 460, 37_000, 2600, 2000, 142, 135, 400, 3500),
        AircraftType("B763", "H/B763/L", 465, 37_000, 2200, 1900, 152, 140, 1000, 5500),
        AircraftType("B772", "H/B772/L", 482, 39_000, 2000, 1800, 158, 140, 1800, 7000),
        AircraftType("B77W", "H/B77W/L", 486, 36_000, 1900, 1800, 164, 148, 1800, 7400),
        AircraftType("B789", "H/B789/L", 488, 40_000, 2100, 1800, 155, 145, 1500, 7300),
        AircraftType("B748", "H/B748/L", 490, 35_000, 1700, 1800, 166, 152, 1800, 7000),
        AircraftType("E75L", "E75L/L", 430, 36_000, 2300, 2000, 135, 128, 120, 1500),
        AircraftType("E190", "E190/L", 440, 37_000, 2300, 2000, 138, 130, 150, 1900),
        AircraftType("CRJ9", "CRJ9/L", 440, 36_000, 2200, 2000, 140, 134, 120, 1200),
        AircraftType("DH8D", "DH8D/L", 340, 24_000, 1600, 1500, 118, 118, 100, 700),
        AircraftType("AT76", "AT76/L", 270, 18_000, 1200, 1300, 112, 110, 80, 500),
        AircraftType("C172", "C172/G", 112, 6_500, 600, 500, 58, 64, 40, 220),
        AircraftType("PC12", "PC12/G", 255, 24_000, 1500, 1400, 85, 88, 80, 800),
        AircraftType("C56X", "C56X/L", 410, 39_000, 2800, 2200, 112, 110, 150, 1400),
        AircraftType("EC45", "EC45/G", 125, 1_500, 900, 700, 0, 0, 12, 90, is_rotorcraft=True),
        AircraftType("S76", "S76/G", 140, 2_000, 1000, 800, 0, 0, 12, 110, is_rotorcraft=True),
    )
}

AIRLINES = (
    Airline("AAL", "KDFW KCLT KMIA KORD KPHL KPHX KLAX KJFK", "A321 B738 A319 B772 B789", 8),
    Airline("DAL", "KATL KDTW KMSP KSLC KSEA KBOS KJFK KLAX", "A321 B739 B738 A333 A359 B763", 8),
    Airline("UAL", "KORD KDEN KIAH KEWR KSFO KIAD KLAX", "B739 A320 B38M B772 B789 B763", 8),
    Airline("SWA", "KDAL KBWI KMDW KLAS KPHX KDEN KOAK KHOU", "B737 B738 B38M", 6),
    Airline("JBU", "KJFK KBOS KFLL KMCO", "A320 A321 E190", 3),
    Airline("ASA", "KSEA KPDX PANC KSFO", "B739 B738 E75L", 3),
    Airline("FFT", "KDEN KMCO KLAS", "A20N A321", 2),
    Airline("SKW", "KSLC KDEN KORD KLAX KSEA", "CRJ9 E75L", 4),
    Airline("RPA", "KIND KLGA KDCA KPHL", "E75L", 3),
    Airline("FDX", "KMEM KIND KOAK EDDK", "B763 B772 B752", 2),
    Airline("UPS", "KSDF KONT KPHL EDDK", "B763 B748 B752", 2),
    Airline("ACA", "CYYZ CYUL CYVR CYYC", "A321 B38M B77W B789 A333", 3),
    Airline("WJA", "CYYC CYYZ CYEG", "B738 B38M DH8D", 2),
    Airline("AMX", "MMMX MMGL", "B738 B38M B789", 2),
    Airline("AVA", "SKBO SKCL SEQM", "A320 A20N B789", 2),
    Airline("LAN", "SCEL SPJC", "A320 A321 B789", 2),
    Airline("TAM", "SBGR SBGL SBBR", "A320 A321 B77W", 2),
    Airline("BAW", "EGLL EGKK EGLC", "A320 A20N A321 B77W A388 B789", 6, has_letters=True),
    Airline("EZY", "EGKK EGGW EGCC LFPG EHAM", "A319 A320 A20N", 5, has_letters=True),
    Airline("RYR", "EIDW EGSS LEMD LIME EDDK", "B738 B38M", 6, has_letters=True),
    Airline("DLH", "EDDF EDDM", "A319 A320 A20N A321 A359 B748 A388", 6, has_letters=True),
    Airline("EWG", "EDDL EDDK EDDH", "A319 A320", 3, has_letters=True),
    Airline("AFR", "LFPG LFPO LFBO", "A320 A321 B77W A359 B789", 5, has_letters=True),
    Airline("KLM", "EHAM", "B738 E190 B77W B789 A333", 4, has_letters=True),
    Airline("SAS", "EKCH ENGM ESSA", "A20N B738 A333", 3, has_letters=True),
    Airline("FIN", "EFHK", "A320 A321 A359 AT76", 2, has_letters=True),
    Airline("SWR", "LSZH LSGG", "A20N A321 B77W A333", 3, has_letters=True),
    Airline("AUA", "LOWW", "A320 A321 B772", 2, has_letters=True),
    Airline("LOT", "EPWA EPKK", "B738 E190 B789 DH8D", 2, has_letters=True),
    Airline("IBE", "LEMD LEBL", "A320 A321 A359 AT76", 3, has_letters=True),
    Airline("TAP", "LPPT LPPR", "A20N A321 A333", 2, has_letters=True),
    Airline("ITY", "LIRF LIMC", "A320 A319 A359", 2, has_letters=True),
    Airline("THY", "LTFM LTAI", "A321 B738 B77W A359", 3, has_letters=True),
    Airline("AEE", "LGAV", "A320 A20N DH8D", 2, has_letters=True),
    Airline("UAE", "OMDB", "B77W A388", 3),
    Airline("QTR", "OTHH", "A20N B77W A359 B789", 3),
    Airline("SVA", "OERK OEJN", "A320 B77W B789", 2),
    Airline("ELY", "LLBG", "B738 B789", 1),
    Airline("ETH", "HAAB", "B738 B789 A359 DH8D", 1),
    Airline("SAA", "FAOR FACT", "A320 A333", 1),
    Airline("IGO", "VIDP VABB VOBL", "A20N A321 AT76", 3),
    Airline("SIA", "WSSS", "A359 B77W B38M A388", 2),
    Airline("MAS", "WMKK", "B738 A333 A359", 1),
    Airline("THA", "VTBS", "A320 B77W A359", 1),
    Airline("GIA", "WIII WADD", "B738 A333 B77W", 1),
    Airline("CPA", "VHHH", "A321 A359 B77W", 2),
    Airline("CCA", "ZBAA ZUUU", "A320 B738 B77W", 2),
    Airline("CES", "ZSPD ZSSS", "A320 A20N B77W", 2),
    Airline("CSN", "ZGGG", "A320 A321 B789", 2),
    Airline("KAL", "RKSI", "B738 B77W B789", 2),
    Airline("JAL", "RJTT RJAA", "B738 B789 A359", 2),
    Airline("ANA", "RJTT RJAA", "A321 B789 B77W", 2),
    Airline("QFA", "YSSY YMML YBBN", "B738 A333 B789", 2),
    Airline("ANZ", "NZAA NZCH", "A20N AT76 B789", 1),
    Airline("", "KTEB KVNY KPDK EGGW LFPB KAPA KHOU", "C172 PC12 C56X", 4),
    Airline("LIFE", "KJFK KEWR EGLL EGLC EDDF SBGR RJTT KLAX KONT", "EC45 S76", 1),
)
"""Codes and hubs are real, schedules are not. The empty code stands for private aircraft under their registration."""

FURTHER_AIRPORTS = """
KSAN KSJC KSMF KTPA KRDU KBNA KSTL KMCI KAUS KSAT KMSY KCLE KCMH KPIT KIND KCVG KBDL KJAX KABQ KTUS KOMA KBOI KRNO
KGEG KSNA KBUR PHNL PHOG TJSJ MDPC MUHA MROC MPTO MMUN CYOW CYHZ CYWG SVMI SAEZ SUMU SBCF SBRF LFML LFLL LFMN LEMG
LEPA LEZL GCLP LPFR EGPH EGPF EGBB EICK EBBR ELLX EDDB EDDS EDDV LKPR LHBP LROP LBSF LYBE LDZA LIPZ LICC LIRN LCLK
ENBR ENVA ESGG EKBI EVRA EYVI EETN UGTB UAAA HECA DAAG GMMN DNMM HKJK FMMI OMAA OJAI OPKC VOMM VECC VGHS VCBI VNKT
VVTS VVNB RPLL WSSL RCTP RCKH RJBB RJCC RKPC ZGSZ ZSHC ZLXY YPPH YPAD NZWN NFFN BIKF
"""

PRIVATE_AIRPORTS = frozenset({"KAPA", "KPDK", "KTEB", "KVNY", "LFPB"})
"""Airports without airlines."""

CENTRES = {
    "ZAB": (34.5, -107.0),
    "ZAU": (41.8, -89.0),
    "ZBW": (43.4, -71.5),
    "ZDC": (37.6, -77.6),
    "ZDV": (39.8, -105.0),
    "ZFW": (32.9, -98.0),
    "ZHU": (29.6, -95.0),
    "ZID": (38.8, -85.4),
    "ZJX": (30.6, -82.0),
    "ZKC": (38.0, -95.5),
    "ZLA": (34.6, -116.5),
    "ZLC": (43.2, -112.0),
    "ZMA": (26.0, -80.5),
    "ZME": (35.2, -90.2),
    "ZMP": (45.5, -95.5),
    "ZNY": (41.0, -75.5),
    "ZOA": (38.4, -121.5),
    "ZOB": (41.4, -82.0),
    "ZSE": (46.2, -121.0),
    "ZTL": (34.0, -84.4),
    "CZVR": (51.5, -123.0),
    "CZEG": (54.0, -114.0),
    "CZWG": (51.5, -98.0),
    "CZYZ": (46.0, -80.5),
    "CZUL": (48.0, -73.5),
    "CZQM": (47.0, -66.0),
    "MMFR": (24.5, -104.0),
}
"""Approximate centres of the US centres' airspace and their neighbours', so that no US centre reaches far abroad."""

STOPPED_AIRPORTS = ("KATL", "KJFK", "KEWR", "KLGA", "KORD", "KDFW", "KDEN", "KSFO", "KBOS", "KPHL", "KMIA", "KLAS")
STOP_REASONS = (
    "WEATHER / Thunderstorms",
    "WEATHER / Low Ceilings",
    "WEATHER / Wind",
    "VOLUME / Volume",
    "RUNWAY / Runway Change",
    "EQUIPMENT / Radar Outage",
)


def airport_codes() -> list[str]:
    """List all airports of this world, hubs and others, each once, sorted."""
    hubs = {code for airline in AIRLINES for code in airline.hubs.split()}
    return sorted(hubs | set(FURTHER_AIRPORTS.split()))
