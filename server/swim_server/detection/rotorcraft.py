"""Which aircraft can fly slowly or stand in the air: type designators as ICAO Doc 8643 has them."""

from __future__ import annotations

_DESIGNATORS = """
A109 A119 A129 A139 A149 A169 A189 A609 ALO2 ALO3 AS32 AS3B AS50 AS55 AS65 B06 B06T B105 B212 B214 B222 B230 B407
B412 B427 B429 B430 B47G B47J B47T B505 B609 BALL BK17 CABR DYH EC20 EC25 EC30 EC35 EC45 EC55 EC75 EH10 EN28 EN48
EXPL G2CA G2CB GAZL GYRO H160 H125 H135 H145 H225 H43 H46 H47 H500 H53 H53S H60 H64 HELI HUCO HX50 K126 K209 K226
KA25 KA26 KA27 KA32 KA50 KA52 KA62 KMAX LAMA LYNX MI14 MI2 MI24 MI26 MI28 MI34 MI38 MI4 MI6 MI8 NH90 OH1 PUMA R22
R44 R66 ROTO RVAL S278 S285 S330 S360 S51 S52 S55P S55T S58P S58T S61 S61R S62 S64 S65C S76 S92 SCOR SHIP SUCO TIGR
UH1 UH12 UH1Y V22 W3
"""

ROTORCRAFT = frozenset(_DESIGNATORS.split())
"""Helicopters, gyroplanes, tilt-rotors, balloons and airships."""


def is_rotorcraft(aircraft: str | None) -> bool:
    """Tell whether a type is one that needs no speed to fly. An unknown or missing type is taken for an aeroplane."""
    return aircraft in ROTORCRAFT
