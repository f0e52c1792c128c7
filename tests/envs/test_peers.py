"""benchmarks/peers: what is installed for a peer, and what is read from its results. No peer is needed."""

from __future__ import annotations

import math
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.peer_comparison import compare
from benchmarks.peers import environment
from benchmarks.peers.answers import (
    Answer,
    answer_from_optimum,
    answer_from_original,
    answer_from_record,
    answer_from_script,
    refusal,
)
from benchmarks.peers.environment import HERE, LOCKS, TORCH_BUILD, Peer, driver
from benchmarks.peers.inline import seconds_in_service
from benchmarks.peers.studies import Cost

# Printed by `llem run` 0.7.0 on a machine without a GPU.
REFUSED = """
 [ 1/1]  ✗  SmolLM2-135M / transformers     1.8s
Pre-flight failed: 1 issue(s) found
  ✗ CUDA not available - is a GPU present and CUDA installed?
"""
MEASURED = """
   #      Config                      T…  I…  E…
   1  ✗   SmolLM2-135M                1…   -   -
"""
NOTE = "Energy measured via NVML polling. Accuracy +/-5%."


def test_each_peer_has_a_hashed_list_and_takes_torch_from_the_projects_locks() -> None:
    lists = sorted(HERE.glob("*.txt"))
    assert [path.stem for path in lists] == ["llenergymeasure", "optimum-benchmark", "zeus"]
    for path in lists:
        entries = re.split(r"\n(?=[A-Za-z])", path.read_text(encoding="utf-8"))[1:]
        assert len(entries) > 40
        assert [entry for entry in entries if not re.match(r"[\w.-]+==\S+.*\\\n +--hash=sha256:", entry)] == []
        assert not TORCH_BUILD.search(path.read_text(encoding="utf-8"))
    builds = {lock: TORCH_BUILD.findall((LOCKS / f"{lock}.txt").read_text()) for lock in ("cpu", "cuda13")}
    assert [build.split("==")[0] for build in builds["cpu"]] == ["torch"]
    names = {build.split("==")[0] for build in builds["cuda13"]}
    assert {"torch", "triton"} < names and not names & {"nvidia-ml-py", "transformers"}


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (
            answer_from_script(
                {
                    "generate_s": 2.0,
                    "outputs": [[5, 6]],
                    "energy_j": {"gpu 0": 140.0, "gpu 1": 210.0},
                    "largest_process_mib": 400.0,
                }
            ),
            Answer(2.0, "140 J (gpu 0), 210 J (gpu 1); no source, no uncertainty", 400.0, [[5, 6]]),
        ),
        (
            answer_from_script({"generate_s": 2.0, "outputs": [[7]], "energy_j": {}, "largest_process_mib": 400.0}),
            Answer(2.0, "no figure and no word why", 400.0, [[7]]),
        ),
        (
            answer_from_original(
                {"generate_s": 3.0, "energy": {"joules": 0.0, "note": NOTE}, "largest_process_mib": 500.0}
            ),
            Answer(3.0, f'0 J, with the note "{NOTE}"', 500.0),
        ),
        (
            answer_from_optimum({"generate_s": 4.0, "joules_per_call": 28.04, "largest_process_mib": 600.0}),
            Answer(4.0, "28 J per call; no source, no uncertainty", 600.0),
        ),
    ],
)
def test_a_peers_result_is_read(answer: Answer, wanted: Answer) -> None:
    assert answer == wanted


def record(*window: tuple[float | None, float | None]) -> dict[str, Any]:
    entries = [
        {
            "phase": "generate",
            "energy_j": joules,
            "expanded_uncertainty_j": half,
            "duration_s": 5.0,
            "reason": "no meter",
        }
        for joules, half in window
    ]
    other = {"phase": "idle", "energy_j": 900.0, "expanded_uncertainty_j": 1.0, "duration_s": 60.0, "reason": None}
    return {"status": "ok", "failure": None, "energy": [other, *entries], "energy_source": "measured:rapl"}


def test_our_own_record_is_read_as_the_peers_are() -> None:
    measured = answer_from_record(record((100.0, 3.0), (50.0, 1.0)), 700.0)
    assert measured == Answer(5.0, "150 J, measured:rapl, ± at most 4 J (95 %)", 700.0)
    assert answer_from_record(record((100.0, None))).energy == "100 J, measured:rapl, no uncertainty stated"
    assert answer_from_record(record((None, None))).energy == "no meter"
    estimated = answer_from_record({**record((100.0, 99.0)), "energy_source": "estimated:codecarbon"}).energy
    assert "95 %" not in estimated and "no interval" in estimated
    with pytest.raises(ValueError, match="not measured: failed, out of memory"):
        answer_from_record({**record(), "status": "failed", "failure": "out of memory"})


def test_a_refusal_is_read_and_a_row_of_a_table_is_not_one() -> None:
    assert refusal(REFUSED) == "CUDA not available - is a GPU present and CUDA installed?"
    assert refusal(MEASURED) is None


def test_what_is_fixed_is_what_the_measured_calls_did_not_take() -> None:
    cost = Cost(30.0, [Answer(4.0, "", 400.0), Answer(6.0, "", 900.0)])
    assert cost.fixed_s == 10.0
    assert cost.largest_process_mib == 900.0


def test_the_seconds_of_calls_do_not_contain_the_wait_for_earlier_batches() -> None:
    rows = [
        {"pass_index": number, "e2e_latency_s": 10.0 + number, "service_e2e_latency_s": 1.0 + number}
        for number in (0, 1)
        for _ in range(4)
    ]
    assert seconds_in_service(rows, 2) == 3.0
    with pytest.raises(ValueError, match="2 calls were measured, 3 were asked for"):
        seconds_in_service(rows, 3)


def test_what_settings_differ_by_does_not_widen_the_interval_of_a_ratio() -> None:
    one, other = ("sdpa", 1), ("eager", 8)
    base = {one: [1.0, 2.0], other: [3.0, 5.0]}
    apart = {one: [1.1, 2.1], other: [4.0, 6.0]}
    ratio = compare(apart, base)
    assert (ratio.low, ratio.mean, ratio.high) == pytest.approx((math.exp(0.55),) * 3)
    # By hand: residuals of ± 0.01, two degrees of freedom, Student's 4.3027.
    scattered = {one: [1.11, 2.09], other: [3.99, 6.01]}
    half = 4.30265 * 0.01 * math.sqrt(2) / math.sqrt(4)
    ratio = compare(scattered, base)
    assert ratio.mean == pytest.approx(math.exp(0.55))
    assert ratio.half_width == pytest.approx(math.exp(half) - 1, rel=1e-4)


def test_a_peer_has_a_session_of_its_own_as_a_worker_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "driver.py"
    script.write_text("import json, os\nprint('RESULT', json.dumps([os.getsid(0), os.getpid()]), flush=True)\ninput()")
    monkeypatch.setattr(environment, "BENCH", tmp_path)
    monkeypatch.setattr(Peer, "python", lambda _: Path(sys.executable))
    with driver(Peer("made-up", str(script)), tmp_path) as process:
        session, pid = process.run({})
    assert session == pid != os.getsid(0)
