"""Models from a hub, against a server on loopback that speaks the hub's protocol."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from huggingface_hub import HfApi, hf_hub_download
from models.conftest import Make, weights_file
from models.hub.hub_server import HubServer, Repository
from transformers import AutoModelForCausalLM, AutoTokenizer

from llenergymeasure.config.study.lock import FileHash, ModelsLock, Pin
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.snapshot import read_snapshot, verify_snapshot

WEIGHTS = "model.safetensors"


def lock_for(name: str, commit: str, files: dict[str, bytes]) -> ModelsLock:
    hashes = {path: FileHash(sha256=hashlib.sha256(data).hexdigest(), size=len(data)) for path, data in files.items()}
    return ModelsLock().with_pin(name, "main", Pin(commit=commit, files=hashes))


def sharded(files: dict[str, bytes], shards: dict[str, bytes]) -> dict[str, bytes]:
    """The repository with an index and these shards in place of its weights."""
    others = {path: data for path, data in files.items() if not path.endswith(".safetensors")}
    index = {"weight_map": {f"weight{number}": shard for number, shard in enumerate(shards)}}
    return {**others, "model.safetensors.index.json": json.dumps(index).encode(), **shards}


def test_the_server_speaks_what_the_stock_client_understands(
    hub: HubServer, commit: str, tmp_path: Path, tiny_files: dict[str, bytes]
) -> None:
    for path in (WEIGHTS, "config.json"):
        local_path = hf_hub_download("org/tiny", path, revision="main", endpoint=hub.endpoint, local_dir=tmp_path)
        assert Path(local_path).read_bytes() == tiny_files[path]
    assert hub.of(WEIGHTS, "HEAD")
    assert HfApi(endpoint=hub.endpoint).model_info("org/tiny").sha == commit


def test_a_pinned_model_arrives_whole_and_loads(hub: HubServer, commit: str, make: Make) -> None:
    snapshot = make("org/tiny", commit)
    assert snapshot.revision == commit
    assert sorted(snapshot.files) == [
        "config.json",
        "generation_config.json",
        WEIGHTS,
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    model = AutoModelForCausalLM.from_pretrained(snapshot.path)
    tokenizer = AutoTokenizer.from_pretrained(snapshot.path)
    ids = tokenizer("a", return_tensors="pt")
    assert model.generate(**ids, max_new_tokens=2, min_new_tokens=2, do_sample=False).shape[1] == 3
    assert verify_snapshot(snapshot.path).content_digest == snapshot.content_digest
    assert hub.of(WEIGHTS)  # it really came from this server


def test_with_a_lock_nothing_but_the_files_is_asked_for(
    hub: HubServer, commit: str, tiny_files: dict[str, bytes], make: Make
) -> None:
    snapshot = make("org/tiny", commit, lock=lock_for("org/tiny", commit, tiny_files))
    assert snapshot.notes["hashes_checked_against"] == "lock"
    assert not [entry for entry in hub.requests if entry.path.startswith("api/")]


def test_the_token_stays_with_the_hub(hub: HubServer, commit: str, make: Make) -> None:
    make("org/tiny", commit)
    assert all(e.authorization == "Bearer hf_test" for e in hub.requests if not e.path.startswith("storage"))
    assert [e.authorization for e in hub.requests if e.path.startswith("storage")] == [None]


def test_after_a_killed_download_whole_files_are_not_fetched_again(
    hub: HubServer, tiny_files: dict[str, bytes], make: Make, tmp_path: Path
) -> None:
    shards = {f"model-0000{number}-of-00002.safetensors": weights_file(3_000_000, number) for number in (1, 2)}
    first, second = shards
    hub.repositories["org/two"] = Repository()
    commit = hub.repositories["org/two"].commit("main", sharded(tiny_files, shards))
    hub.stalled.add(second)
    program = (
        "import sys; from pathlib import Path\n"
        "from llenergymeasure.config.study.lock import ModelsLock\n"
        "from llenergymeasure.config.settings.model_ref import parse_model_ref\n"
        "from llenergymeasure.models.snapshot import materialise\n"
        "ref = parse_model_ref('org/two')\n"
        "materialise(ref, sys.argv[1], Path(sys.argv[2]) / ref.key(sys.argv[1]), lock=ModelsLock())\n"
    )
    models = tmp_path / "results" / "models"
    part = models / f".org--two@{commit}.partial" / first
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", program, commit, str(models)], env=environment)
    try:
        while not part.exists():
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    assert not (models / f"org--two@{commit}").exists()
    hub.stalled.clear()
    hub.requests.clear()
    snapshot = make("org/two", commit)
    assert hub.of(second) and not hub.of(first)
    assert (snapshot.path / second).read_bytes() == shards[second]
    assert [path.name for path in models.iterdir()] == [f"org--two@{commit}"]


def test_a_dropped_connection_is_taken_up_again_at_once(hub: HubServer, long_commit: str, make: Make) -> None:
    hub.cut_after[WEIGHTS] = 15_000_000
    snapshot = make("org/long", long_commit)
    weights = hub.repositories["org/long"].commits[long_commit][WEIGHTS]
    assert (snapshot.path / WEIGHTS).read_bytes() == weights
    attempts = hub.of(f"storage/org/long/{long_commit}/{WEIGHTS}")
    assert len(attempts) == 2
    assert sum(entry.sent_bytes for entry in attempts) < len(weights) + 10_000_000


@pytest.mark.parametrize("path", [WEIGHTS, "config.json"])
@pytest.mark.parametrize("locked", [True, False])
def test_a_tampered_file_is_named_and_nothing_is_left_that_counts(
    hub: HubServer, commit: str, tiny_files: dict[str, bytes], make: Make, tmp_path: Path, path: str, locked: bool
) -> None:
    true = tiny_files[path]
    hub.served["org/tiny", path] = true[:-2] + b"\n\n"
    lock = lock_for("org/tiny", commit, tiny_files) if locked else ModelsLock()
    with pytest.raises(SnapshotError, match=f"{path} is not the file the {'lock' if locked else 'hub'} describes"):
        make("org/tiny", commit, lock=lock)
    assert not (tmp_path / "results" / "models" / f"org--tiny@{commit}").exists()
    hub.served.clear()
    assert (make("org/tiny", commit, lock=lock).path / path).read_bytes() == true


def test_a_file_damaged_between_two_attempts_is_fetched_again(
    commit: str, make: Make, tmp_path: Path, tiny_files: dict[str, bytes]
) -> None:
    partial = tmp_path / "results" / "models" / f".org--tiny@{commit}.partial"
    partial.mkdir(parents=True)
    (partial / WEIGHTS).write_bytes(b"rubbish")
    (partial / "left.py").write_text("print('left over')")
    (partial / "tokenizer.json.part").write_bytes(b"x" * 10_000_000)
    snapshot = make("org/tiny", commit)
    assert (snapshot.path / WEIGHTS).read_bytes() == tiny_files[WEIGHTS]
    assert not (snapshot.path / "left.py").exists()


def test_pickled_weights_are_refused(hub: HubServer, tiny_files: dict[str, bytes], make: Make) -> None:
    files = {path: data for path, data in tiny_files.items() if not path.endswith(".safetensors")}
    hub.repositories["org/pickle"] = Repository()
    commit = hub.repositories["org/pickle"].commit("main", files)
    with pytest.raises(SnapshotError, match=r"only pickled weights \(pytorch_model\.bin\)"):
        make("org/pickle", commit)


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json"])
def test_a_model_without_config_or_tokenizer_is_refused(
    hub: HubServer, tiny_files: dict[str, bytes], make: Make, missing: str
) -> None:
    hub.repositories["org/half"] = Repository()
    files = {path: data for path, data in tiny_files.items() if path != missing}
    commit = hub.repositories["org/half"].commit("main", files)
    with pytest.raises(SnapshotError, match=f"org/half has no {missing.split('.')[0]}"):
        make("org/half", commit)


def test_sharded_weights_need_every_shard(hub: HubServer, tiny_files: dict[str, bytes], make: Make) -> None:
    shards = {f"model-0000{number}-of-00002.safetensors": weights_file(100, number) for number in (1, 2)}
    files = sharded(tiny_files, shards)
    _, second = shards
    hub.repositories["org/sharded"] = repository = Repository()
    with pytest.raises(SnapshotError, match=f"names {second}, which does not exist"):
        make("org/sharded", repository.commit("main", {path: files[path] for path in files if path != second}))
    files["consolidated-00001-of-00001.safetensors"] = b"a copy"
    snapshot = make("org/sharded", repository.commit("main", files))
    assert {path for path in snapshot.files if path.endswith(".safetensors")} == set(shards)


def test_code_comes_only_when_allowed_and_locked(commit: str, tiny_files: dict[str, bytes], make: Make) -> None:
    assert not make("org/tiny", commit).has_code
    with pytest.raises(SnapshotError, match="Python code whose hashes are not in the lock"):
        make("org/tiny", commit, allow_code=True)
    lock = lock_for("org/tiny", commit, tiny_files)
    snapshot = make("org/tiny", commit, lock=lock, allow_code=True)
    assert snapshot.has_code
    assert (snapshot.path / "modeling_tiny.py").read_bytes() == tiny_files["modeling_tiny.py"]
    without = make("org/tiny", commit, lock=lock)
    assert not without.has_code
    assert not (without.path / "modeling_tiny.py").exists()


def test_code_of_another_repository_is_refused(hub: HubServer, tiny_files: dict[str, bytes], make: Make) -> None:
    config = json.loads(tiny_files["config.json"]) | {"auto_map": {"AutoConfig": "other/repo--code.Config"}}
    files = {**tiny_files, "config.json": json.dumps(config).encode()}
    hub.repositories["org/far"] = Repository()
    commit = hub.repositories["org/far"].commit("main", files)
    lock = lock_for("org/far", commit, files)
    with pytest.raises(SnapshotError, match="code from another repository"):
        make("org/far", commit, lock=lock, allow_code=True)


def test_file_names_that_lead_out_are_never_taken(
    hub: HubServer, tiny_files: dict[str, bytes], make: Make, tmp_path: Path
) -> None:
    hub.repositories["org/evil"] = repository = Repository()
    evil = {"../../escaped.json": b"{}", "..\\escaped.json": b"{}", "c:escaped.json": b"{}"}
    snapshot = make("org/evil", repository.commit("main", {**tiny_files, **evil}))
    assert not any("escaped" in path for path in snapshot.files)
    shards = {"../escaped.safetensors": weights_file(10)}
    with pytest.raises(
        SnapshotError, match=r"names '\.\./escaped\.safetensors', which leads out of the model's folder"
    ):
        make("org/evil", repository.commit("main", sharded(tiny_files, shards)))
    assert not list(tmp_path.rglob("*escaped*"))


def test_a_snapshot_that_is_there_is_not_fetched_again(hub: HubServer, commit: str, make: Make) -> None:
    first = make("org/tiny", commit)
    hub.requests.clear()
    assert make("org/tiny", commit) == first
    assert hub.requests == []
    (first.path / "config.json").write_text("{}")
    assert make("org/tiny", commit) == first == read_snapshot(first.path)
    assert hub.requests
