"""Names for invented routes: plain words of five letters, each checked before it was added. Pure."""

from __future__ import annotations

from random import Random

_NAMES = """
ABBOT ADOBE AGATE ALDER AMBER ANGLE APPLE APRON ARBOR ARROW ASPEN ATLAS AZURE BADGE BAKER BASIL BEACH BERRY BIRCH
BLAZE BLOOM BOARD BRAID BRAVE BRICK BRINE BRISK BROOK CABIN CANAL CANOE CARGO CAROL CEDAR CHALK CHARM CHESS CHIME
CIDER CLIFF CLOUD CLOVE COAST CORAL COVEY CRANE CREEK CREST CROWN DAISY DENIM DINGO DRIFT DUNES EAGLE EARLY EMBER
FABLE FERRY FINCH FJORD FLINT FLORA FOGGY FROST GABLE GLADE GLINT GROVE GULLY HAVEN HAZEL HERON HONEY INLET IVORY
JEWEL JOLLY KAYAK KOALA LANCE LARCH LEMON LILAC LINEN LLAMA LOTUS LUNAR MAPLE MARSH MEDAL MELON MINTY MOOSE MOSSY
NAVAL NORTH OASIS OCEAN OLIVE ONION OTTER PANDA PEACH PEARL PLAZA POPPY PRISM QUAIL QUILT RAVEN RIDGE RIVER ROBIN
SALSA SCOUT SHORE SIENA SLATE SOLAR SPICE SPIRE STONE STORK SUGAR SWIFT TABLE TANGO THYME TIGER TOPAZ TOWER TRAIL
TULIP UMBER VIOLA WAGON WHALE WHEAT WILLO YACHT ZEBRA
"""
FIXES = tuple(_NAMES.split())
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
UNWANTED_PAIRS = frozenset({"AH", "BJ", "BS", "FU", "HH", "HJ", "KK", "KZ", "NS", "PP", "SA", "SS", "WC", "XX"})
"""Letters that nobody would choose for a registration."""


def invent_route(random: Random) -> str:
    """Invent a route: fixes connected by airways or directly, with a departure and an arrival procedure."""
    fixes = random.sample(FIXES, 4)
    ways = random.choices(("DCT", "UL612", "J121", "Q140", "UN866", "DCT"), k=3)
    middle = " ".join(f"{fix} {way}" for fix, way in zip(fixes, ways, strict=False))
    out, to = (f"{fix}{random.randint(1, 9)}{random.choice('ABCDX')}" for fix in (fixes[0], fixes[3]))
    return f"{out} {middle} {fixes[3]} {to}"


def invent_letters(random: Random) -> str:
    """Choose the two letters at the end of a callsign."""
    while (pair := random.choice(LETTERS) + random.choice(LETTERS)) in UNWANTED_PAIRS:
        pass
    return pair
