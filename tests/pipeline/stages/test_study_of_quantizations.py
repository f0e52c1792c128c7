"""Quantization as an axis of a study: from the YAML file to the report."""

from __future__ import annotations

import pytest
import torch
from harness import Pipeline, study
from quantized_checkpoints import MODEL

KEY = "pytorch.quantization_config"
INT8 = {"quant_method": "quanto", "weights": "int8"}
FP8 = {"quant_method": "fp8"}


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU may run FP8")
def test_quantization_is_an_axis_and_what_cannot_run_here_is_a_failure_with_its_reason(pipeline: Pipeline) -> None:
    pipeline.write(study(defaults={"model": MODEL, "precision": "bf16"}, matrix={KEY: [None, INT8, FP8]}))
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    assert "needs a CUDA device of compute capability 8.9" in done.output
    by_status = {record["status"]: record for record in pipeline.records() if record["config"]["pytorch"][KEY[8:]]}
    assert by_status["ok"]["evidence"][KEY]["verdict"] == "applied"
    assert by_status["failed"]["failure"]["reason"].startswith("No GPU or XPU found")
    page = (pipeline.results() / "report.html").read_text(encoding="utf-8")
    assert "Bits per weight" in page
    assert "16 / 16" in page
    assert "8.92 / 9.02" in page, "eight bits, and sixteen in the output head"
