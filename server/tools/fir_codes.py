"""Lists the FIRs of the VATSpy data project, to distinguish them from sectors among its boundaries.

python server/tools/fir_codes.py VATSpy.dat.gz > server/swim_server/sources/data/fir_codes.txt

They are the codes in the FIR column of its table of airports.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

HEADER = """\
# The FIRs of the world, made by server/tools/fir_codes.py: the codes in the FIR column of the table of airports of the
# VATSpy data project (github.com/vatsimnetwork/vatspy-data-project). A boundary with another code is a sector, an upper
# airspace or an ocean. Licensed under CC-BY-SA-4.0 (creativecommons.org/licenses/by-sa/4.0), and so is this file.
"""


def main() -> None:
    """Print the list."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    content = Path(sys.argv[1]).read_bytes()
    text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8", "replace")
    airports = text.partition("[Airports]")[2].partition("[FIRs]")[0]
    rows = [line.strip().split("|") for line in airports.splitlines() if line.count("|") >= 6 and line[0] != ";"]
    codes = {row[5].strip().upper().partition("-")[0] for row in rows} - {""}
    print(HEADER + "\n".join(sorted(codes)))


if __name__ == "__main__":
    main()
