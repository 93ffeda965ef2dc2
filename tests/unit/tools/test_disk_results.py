"""An interrupted long run of a disk harness can be continued."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.disk.judgement import Judgement
from support.disk.report import Tally
from support.disk.results import Results

HEAD = {"harness": "power", "seed": 7}


def judged(fault: str, count: int) -> Judgement:
    judgement = Judgement()
    judgement.find(fault, count, "an example")
    return judgement


def test_results_are_there_again_for_the_run_that_goes_on(tmp_path: Path) -> None:
    results = Results(tmp_path / "results", HEAD)
    results.add("run 0", ["normal"], judged("lost_silently", 3), "somewhere")
    results.add("run 0", ["full"], Judgement(), "elsewhere")
    results.close()
    results, tally = Results(tmp_path / "results", HEAD), Tally(["written"])
    results.add("run 1", ["normal"], judged("repeated", 2), "there")
    results.add_up(tally)
    assert results.parts() == {"run 0": 2, "run 1": 1}
    normal = next(row for row in tally.rows() if row["written"] == "normal")
    assert (tally.count, normal["cases"], normal["lost_silently"], normal["repeated"]) == (3, 2, 3, 2)
    assert not tally.is_well
    assert normal["examples"][0] == "lost_silently: an example (somewhere)"
    results.close()


def test_a_line_that_was_cut_off_costs_itself_alone(tmp_path: Path) -> None:
    results = Results(tmp_path / "results", HEAD)
    results.add("run 0", ["normal"], Judgement(), "somewhere")
    results.close()
    with (tmp_path / "results").open("ab") as file:
        file.write(b'{"part": "ru')
    results = Results(tmp_path / "results", HEAD)
    results.add("run 0", ["normal"], Judgement(), "there")
    assert results.parts() == {"run 0": 2}
    results.close()


def test_the_results_of_another_run_are_refused(tmp_path: Path) -> None:
    Results(tmp_path / "results", HEAD).close()
    with pytest.raises(SystemExit, match="holds another run"):
        Results(tmp_path / "results", {**HEAD, "seed": 8})
