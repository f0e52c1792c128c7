"""A first study as the README describes it: a gated model in the Hugging Face cache, a server with eight GPUs, and
prompts in a data set on the hub.

The hub is on loopback, the boards are simulated, and the model is on the processor.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from energy.simulated_gpus import build_driver
from harness import Pipeline, study
from huggingface_hub import snapshot_download
from models.hub.hub_server import HubServer, Repository

TOKEN = "hf_secretOfThisTest"
CHAT = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
QUESTIONS = [[{"role": "user", "content": f"What is {number} + {number}?"}] for number in range(20)]
STUDY = study(
    study="first",
    defaults={
        "model": "org/gated@main",
        "dataset": {
            "source": "hub",
            "name": "org/questions",
            "split": "train",
            "messages": "messages",
            "sample_seed": 3,
            "system_prompt": "Be brief.",
        },
        # torch sees no simulated board.
        "pytorch": {"device_map": "cpu"},
    },
    matrix={"pytorch.batch_size": [1, 3]},
    measurement={"replicates": 2},
)


@pytest.fixture
def eight_boards(tmp_path: Path) -> dict[str, str]:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler to build the simulated NVML library with")
    (tmp_path / "driver").mkdir()
    build_driver(tmp_path / "driver")
    return {"LD_LIBRARY_PATH": str(tmp_path / "driver"), "SIM_NVML_POWER_W": ",".join(["200"] * 8)}


@pytest.fixture
def gated(hub: HubServer, tiny_files: dict[str, bytes]) -> HubServer:
    hub.tokens = {f"Bearer {TOKEN}"}
    hub.repositories["org/gated"] = Repository(gated=True)
    hub.repositories["org/gated"].commit("main", {**tiny_files, "chat_template.jinja": CHAT.encode()})
    hub.repositories["datasets/org/questions"] = Repository()
    rows = "\n".join(json.dumps({"messages": messages}) for messages in QUESTIONS)
    hub.repositories["datasets/org/questions"].commit(
        "main", {"data/train.jsonl": rows.encode(), "README.md": b"# Questions\n"}
    )
    return hub


@pytest.mark.slow
def test_from_a_gated_model_in_the_cache_to_a_report(
    pipeline: Pipeline, gated: HubServer, eight_boards: dict[str, str]
) -> None:
    # Somebody has used the model on this machine before.
    snapshot_download("org/gated", token=TOKEN, endpoint=gated.endpoint)
    cached = [path for path in gated.requests if path.path.endswith("model.safetensors")]
    pipeline.write(STUDY, "first.yaml")

    def call(*arguments: str, token: str = TOKEN, cores: int | None = 2) -> str:
        done = pipeline.snakemake(*arguments, configfile="first.yaml", cores=cores, HF_TOKEN=token, **eight_boards)
        assert "Traceback" not in done.output and TOKEN not in done.output
        return f"{done.returncode} {done.output}"

    checked = call("doctor", cores=None)
    assert checked.count("Simulated GPU, 80 GiB") == 8
    assert checked[0] == "1" and "snakemake pin" in checked and "report this" not in checked
    assert "1 model of the study to fetch: org/gated" in " ".join(checked.split())
    unpinned = call("validate")
    assert unpinned[0] == "1" and "snakemake pin" in unpinned
    refused = call("pin", token="hf_wrong")
    assert refused[0] == "1" and "HF_TOKEN" in refused, refused
    pinned = call("pin")
    assert pinned[0] == "0", pinned
    estimated = call("estimate")
    assert estimated[0] == "0" and "estimate" in estimated, estimated
    done = call()
    assert done[0] == "0", done
    # The weights were not sent again.
    assert [path for path in gated.requests if path.path.endswith("model.safetensors")] == cached
    records = pipeline.records("first")
    assert [record["status"] for record in records] == ["ok"] * 4
    assert {record["snapshot"]["source"] for record in records} == {"hub"}
    assert {record["prompts"]["system_prompt"] for record in records} == {"Be brief."}
    (weights,) = (pipeline.directory / "results" / "models").glob("*/model.safetensors")
    assert weights.stat().st_nlink > 1
    assert (pipeline.results("first") / "report.html").is_file()
    written = [path for path in pipeline.results("first").rglob("*") if path.is_file()]
    assert not [path for path in written if TOKEN.encode() in path.read_bytes()]
