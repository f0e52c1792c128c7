"""The journal: nothing measured is lost, nothing half-written is taken for a result."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from llenergymeasure.records.storage.files import write_tables
from llenergymeasure.records.storage.journal import Journal


def entry(name: str, rows: int = 2) -> dict[str, object]:
    record = {"experiment_id": name, "session_id": "b", "replicate": 1, "status": "ok"}
    request = {
        "pass_index": 0,
        "request_index": 0,
        "batch_index": 0,
        "prompt_digest": "p",
        "input_tokens": 3,
        "output_tokens": 2,
        "padded_tokens": 0,
        "ttft_s": 0.1,
        "itl_s": [0.2],
        "e2e_latency_s": 0.3,
        "service_ttft_s": 0.1,
        "service_e2e_latency_s": 0.3,
        "stop_reason": "length",
        "output_digest": "o",
    }
    return {"record": record, "requests": [request] * rows, "power": []}


def test_a_line_cut_off_by_a_crash_is_dropped_and_the_rest_kept(tmp_path: Path) -> None:
    path = tmp_path / ".journal" / "x.jsonl"
    journal = Journal(path)
    journal.append(entry("a"))
    journal.append(entry("b"))
    with path.open("a") as lines:
        lines.write('{"record": {"experiment_id": "c", "session')
    again = Journal(path)
    assert "a" in again
    assert "b" in again
    assert "c" not in again
    again.append(entry("c"))
    assert [json.loads(line)["record"]["experiment_id"] for line in path.read_text().splitlines()] == ["a", "b", "c"]


def test_tables_hold_every_request_under_its_experiment(tmp_path: Path) -> None:
    journal = Journal(tmp_path / ".journal" / "x.jsonl")
    journal.append(entry("a", rows=3))
    journal.append(entry("b", rows=1))
    write_tables(journal, tmp_path / "m.jsonl", tmp_path / "r.parquet", tmp_path / "p.parquet")
    assert [json.loads(line)["experiment_id"] for line in (tmp_path / "m.jsonl").read_text().splitlines()] == ["a", "b"]
    table = pq.read_table(tmp_path / "r.parquet")
    assert table["experiment_id"].to_pylist() == ["a", "a", "a", "b"]
    assert table["itl_s"].to_pylist() == [[0.2]] * 4
    assert pq.read_table(tmp_path / "p.parquet").num_rows == 0


def test_a_table_that_cannot_be_written_leaves_no_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path / ".journal" / "x.jsonl")
    broken = entry("a")
    broken["requests"] = [{"ttft_s": "not a number"}]
    journal.append(broken)
    with pytest.raises(Exception, match="not a number"):
        write_tables(journal, tmp_path / "m.jsonl", tmp_path / "r.parquet", tmp_path / "p.parquet")
    assert [path.name for path in tmp_path.iterdir()] == [".journal"]
