"""Ratios measured side by side in one run: ``python -m tests.bench.run``. Prints; asserts nothing.

* starting N hello instances through ``unictl apply``, against shells that start the same QEMU command lines at the same
  parallelism and wait until every guest answers, several times in turn;
* ``unictl --version`` against ``python -c pass``;
* memory of the control process and of the supervisor.
"""

import argparse
import os
import resource
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

from tests.operations.fleets import TryFleet


def line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def many(folder: Path, number: int) -> TryFleet:
    """A fleet of ``number`` fronts that need nobody, all in one wave."""
    fleet = TryFleet(folder)
    text = fleet.yaml()
    start = text.index("services:")
    end = text.index("\nnetworks:")
    services = f"""services:
  front:
    extends: small
    replicas: {number}
    health: {{http: /healthz, port: http, interval: 100ms, min_healthy_time: 0ms, healthy_deadline: 120s}}
    placement: {{cpu_ratio: 1000}}
    update: {{max_parallel: {number}, progress_deadline: 10m}}
"""
    (fleet.folder / "fleet.yaml").write_text(text[:start] + services + text[end:])
    return fleet


def argvs(fleet: TryFleet) -> list[list[str]]:
    """The command lines of the fleet's running hypervisors."""
    found = []
    for pid in fleet.processes():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
        if b"qemu-system" in words[0]:
            found.append([word.decode() for word in words])
    return found


def bare(commands: list[list[str]], fleet: TryFleet, parallelism: int) -> float:
    """Seconds until all of them answer; each of so many lanes starts one, waits for its answer, and goes on."""
    started: list[int] = []
    with tempfile.TemporaryDirectory() as place:
        jobs = [_job(words, fleet, Path(place) / str(number)) for number, words in enumerate(commands)]

        def run(job: tuple[str, str]) -> None:
            shell = ["sh", "-c", f"{job[0]} </dev/null >/dev/null 2>&1 & echo $!"]
            started.append(int(subprocess.run(shell, check=True, capture_output=True).stdout))
            _answers(job[1])

        begin = time.monotonic()
        with ThreadPoolExecutor(parallelism) as pool:
            list(pool.map(run, jobs))
        took = time.monotonic() - begin
        for pid in started:
            os.kill(pid, signal.SIGKILL)
        return took


def _job(words: list[str], fleet: TryFleet, run: Path) -> tuple[str, str]:
    """(command line, port) of one, its sockets in ``run``."""
    run.mkdir()
    changed = [_moved(word, fleet, run) for word in words]
    port = next(word for word in changed if "hostfwd" in word).rpartition("tcp:127.0.0.1:")[2].split("-")[0]
    return shlex.join(changed), port


def _moved(word: str, fleet: TryFleet, run: Path) -> str:
    """The word with the instance's sockets taken out or put into ``run``."""
    if word.startswith("socket,id=console"):
        return "null,id=console"
    for part in word.split(","):
        if str(fleet.root / "run") in part:
            path = part.partition(":")[2] or part.partition("=")[2] or part
            word = word.replace(path, str(run / Path(path).name))
    return word


def _answers(port: str) -> None:
    """Wait for an answer. A connection made before its guest listens may hang: it is given up soon."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=0.5) as answer:
                answer.read()
                return
        except OSError:
            time.sleep(0.01)
    raise TimeoutError(port)


def version() -> None:
    def median(words: list[str]) -> float:
        times = []
        for _ in range(20):
            begin = time.monotonic()
            subprocess.run(words, check=True, capture_output=True)
            times.append(time.monotonic() - begin)
        return statistics.median(times) * 1000

    script = str(Path(sys.executable).parent / "unictl")
    bare_ms, ours = median([sys.executable, "-c", "pass"]), median([script, "--version"])
    line(f"--version: {ours:.0f} ms, python -c pass: {bare_ms:.0f} ms, {ours - bare_ms:.0f} ms more (goal: at most 60)")


def supervisor_memory(fleet: TryFleet) -> str:
    """Proportional memory of every process of the store that is no hypervisor and no ingress."""
    rows = []
    for pid in fleet.processes():
        words = Path(f"/proc/{pid}/cmdline").read_text()
        if "qemu-system" in words or "haproxy" in words:
            continue
        pss = next(r for r in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if r.startswith("Pss:"))
        rows.append(int(pss.split()[1]) / 1024)
    return ", ".join(f"{each:.1f} MiB" for each in rows) or "none found"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=100)
    parser.add_argument("--parallelism", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    # An installed unictl has its modules compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    version()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        # As a store's folder is: hypervisors run as other users where they can.
        Path(place).chmod(0o711)
        fleet = many(Path(place), asked.number)
        try:
            fleet.plan()
            ratios = [_round(fleet, Path(place), asked.parallelism) for _ in range(asked.rounds)]
        finally:
            fleet.run("destroy", "-auto-approve")
    line(f"median ratio of {len(ratios)} rounds: {statistics.median(ratios):.2f} (goal: at most 1.15)")


def _round(fleet: TryFleet, place: Path, parallelism: int) -> float:
    """Apply, then the same command lines without unictl: the ratio of the times."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    applied = fleet.apply("-parallelism", str(parallelism))
    ours = time.monotonic() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if applied.code:
        line(applied.out + applied.err)
        raise SystemExit(1)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    line(f"supervisor: {supervisor_memory(fleet)}; largest process of an apply: {after.ru_maxrss / 1024:.0f} MiB")
    saved = [_kept(words, place / "kept", number) for number, words in enumerate(argvs(fleet))]
    fleet.run("destroy", "-auto-approve")
    theirs = bare(saved, fleet, parallelism)
    line(
        f"{len(saved)} instances: apply {ours:.2f} s ({spent:.2f} s of processor beside supervisor and guests), "
        f"bare {theirs:.2f} s, ratio {ours / theirs:.2f}"
    )
    return ours / theirs


def _kept(words: list[str], place: Path, number: int) -> list[str]:
    """The command line with its boot file and image copied to where they outlive the fleet."""
    place.mkdir(exist_ok=True)
    changed = list(words)
    at = changed.index("-readconfig") + 1
    text = Path(changed[at]).read_text()
    image = next(row.split('"')[1] for row in text.splitlines() if row.strip().startswith("kernel"))
    kept = place / Path(image).name
    if not kept.exists():
        kept.write_bytes(Path(image).read_bytes())
    config = place / f"{number}.cfg"
    config.write_text(text.replace(image, str(kept)))
    changed[at] = str(config)
    return changed


if __name__ == "__main__":
    main()
