"""A real SLURM on this machine: Debian's packages, one node, all daemons started and stopped here.

`PYTHONPATH=tests python -m cluster.slurm` keeps it until Ctrl-C, for a trial of docs/cluster.md.
The only thing that is not real is the GPU: /dev/null stands for its device file, so that SLURM can grant it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

# A job step looks in the standard place only: SLURM_CONF is lost on its way there.
CONFIGURATION = Path("/etc/slurm")
MARK = "# written by llenergymeasure's tests"
PATIENCE_S = 60


def missing() -> str | None:
    """Why there can be no SLURM here, or None."""
    if os.geteuid() != 0:
        return "SLURM's daemons need root"
    if shutil.which("slurmctld") is None and shutil.which("apt-get") is None:
        return "slurm-wlm is not installed, and there is no apt-get"
    conf = CONFIGURATION / "slurm.conf"
    if conf.exists() and not conf.read_text(encoding="utf-8").startswith(MARK):
        return f"{conf} belongs to somebody: this machine has a SLURM of its own"
    return None


@dataclass
class Slurm:
    """The running daemons."""

    folder: Path
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def jobs(self) -> list[dict[str, str]]:
        """Jobs in the queue or running: id, state, comment, GPUs asked for, and whether the node may be shared."""
        names = ("id", "state", "comment", "gres", "shared")
        columns = "JobID:20|,State:20|,Comment:400|,tres-per-job:40|,OverSubscribe:20"
        lines = _output("squeue", "--noheader", f"--Format={columns}").splitlines()
        return [dict(zip(names, map(str.strip, line.split("|")), strict=True)) for line in lines]

    def log(self) -> str:
        return "\n".join(
            f"== {path.name}\n{path.read_text(encoding='utf-8', errors='replace')[-3000:]}"
            for path in sorted(self.folder.glob("*.log"))
        )


def install() -> None:
    if all(map(shutil.which, ("slurmctld", "slurmd", "munged", "sbatch"))):
        return
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    for command in (["update"], ["install", "-y", "--no-install-recommends", "slurm-wlm", "munge"]):
        subprocess.run(["apt-get", "-qq", *command], check=True, **quiet)


@contextmanager
def running(folder: Path) -> Iterator[Slurm]:
    """Start munged, slurmctld and slurmd; stop them and remove their configuration at the end."""
    install()
    folder.mkdir(parents=True, exist_ok=True)
    # Daemons of an interrupted run would hold the ports.
    for process in psutil.process_iter(["name"]):
        if process.info["name"] in ("slurmctld", "slurmd", "munged", "slurmstepd"):
            process.kill()
    slurm = Slurm(folder)
    _configure(folder)
    try:
        _start_munge()
        for name in ("slurmctld", "slurmd"):
            with (folder / f"{name}.out.log").open("wb") as log:
                slurm.daemons.append(
                    subprocess.Popen([name, "-D"], stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
                )
            time.sleep(1)
        _wait_for_node(slurm)
        yield slurm
    finally:
        # A job's processes outlive the daemons.
        subprocess.run(["scancel", "--user", "root"], check=False, timeout=30)
        for daemon in reversed(slurm.daemons):
            daemon.send_signal(signal.SIGTERM)
        for daemon in slurm.daemons:
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
        subprocess.run(["pkill", "-x", "munged"], check=False)
        for name in ("slurm.conf", "gres.conf"):
            (CONFIGURATION / name).unlink(missing_ok=True)


def _configure(folder: Path) -> None:
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir(exist_ok=True)
    CONFIGURATION.mkdir(exist_ok=True)
    memory_mb = psutil.virtual_memory().total // 2**20 * 9 // 10
    settings = {
        "ClusterName": "tests",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool",
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd.pid",
        "SlurmctldLogFile": folder / "slurmctld.log",
        "SlurmdLogFile": folder / "slurmd.log",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core",
        "GresTypes": "gpu",
        "JobAcctGatherType": "jobacct_gather/none",
        "AccountingStorageType": "accounting_storage/none",
        "MinJobAge": 300,
        "ReturnToService": 2,
        "KillWait": 5,
    }
    lines = [MARK, *(f"{key}={value}" for key, value in settings.items())]
    lines.append(
        f"NodeName={host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} RealMemory={memory_mb} Gres=gpu:1 State=UNKNOWN"
    )
    lines.append(f"PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP")
    (CONFIGURATION / "slurm.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (CONFIGURATION / "gres.conf").write_text(f"{MARK}\nName=gpu File=/dev/null\n", encoding="utf-8")


def _start_munge() -> None:
    key = Path("/etc/munge/munge.key")
    if not key.exists():
        key.write_bytes(os.urandom(1024))
    subprocess.run(["chown", "munge:munge", str(key)], check=True)
    key.chmod(0o400)
    for folder in ("/run/munge", "/var/log/munge", "/var/lib/munge"):
        Path(folder).mkdir(exist_ok=True)
        subprocess.run(["chown", "munge:munge", folder], check=True)
    Path("/run/munge").chmod(0o755)
    subprocess.run(["runuser", "-u", "munge", "--", "munged", "--force"], check=True)


def _wait_for_node(slurm: Slurm) -> None:
    end = time.monotonic() + PATIENCE_S
    while "idle" not in (state := _output("sinfo", "--noheader", "--format=%t", check=False)):
        if time.monotonic() > end:
            raise RuntimeError(f"the node is {state.strip() or 'not known'}\n{slurm.log()}")
        time.sleep(0.5)


def _output(*command: str, check: bool = True) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=check).stdout


def _for_a_trial() -> None:
    if (why := missing()) is not None:
        raise SystemExit(why)
    with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt), running(Path(folder)):
        print("SLURM runs, with partition debug; Ctrl-C ends it and removes its configuration", flush=True)
        signal.pause()


if __name__ == "__main__":
    _for_a_trial()
