"""Ratios measured side by side in one run: ``python -m tests.bench.run``. Prints; asserts nothing.

* starting N hello instances through ``unictl apply``, against a bare shell loop that starts the same QEMU command
  lines at the same parallelism and waits until every guest answers;
* ``unictl --version`` against ``python -c pass``;
* memory of the control process and of the keeper.
"""

import argparse
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import URLError
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
    """Seconds until all of them answer, started by a shell loop."""
    jobs = []
    ports = []
    with tempfile.TemporaryDirectory() as place:
        for number, words in enumerate(commands):
            run = Path(place) / str(number)
            run.mkdir()
            changed = [_moved(word, fleet, run) for word in words]
            ports.append(next(w for w in changed if "hostfwd" in w).rpartition("tcp:127.0.0.1:")[2].split("-")[0])
            jobs.append(shlex.join(changed))
        script = Path(place) / "all"
        script.write_text("\n".join(f"{job} </dev/null >/dev/null 2>&1 & echo $! >> {place}/pids" for job in jobs))
        begin = time.monotonic()
        subprocess.run(["sh", str(script)], check=True)
        with ThreadPoolExecutor(parallelism) as pool:
            list(pool.map(_answers, ports))
        took = time.monotonic() - begin
        for pid in (Path(place) / "pids").read_text().split():
            subprocess.run(["kill", pid], check=False)
        return took


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
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                answer.read()
                return
        except (TimeoutError, URLError, OSError):
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


def keeper_memory(fleet: TryFleet) -> str:
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
    asked = parser.parse_args()
    version()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        fleet = many(Path(place), asked.number)
        fleet.plan()
        begin = time.monotonic()
        applied = fleet.apply("-parallelism", str(asked.parallelism))
        ours = time.monotonic() - begin
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        if applied.code:
            line(applied.out + applied.err)
            raise SystemExit(1)
        line(
            f"keeper with {asked.number} instances: {keeper_memory(fleet)}; largest process of an apply: {peak:.0f} MiB"
        )
        configs = argvs(fleet)
        saved = [_kept(words, Path(place) / "kept", n) for n, words in enumerate(configs)]
        fleet.run("destroy", "-auto-approve")
        theirs = bare(saved, fleet, asked.parallelism)
        line(f"{len(saved)} instances: apply {ours:.2f} s, shell loop {theirs:.2f} s, ratio {ours / theirs:.2f}")


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
