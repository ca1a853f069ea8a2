"""One text from a cold start: `newsclf predict` on a run and on its exports, in turns.

python nbs/explanations/measure_start.py RUN [EXPORT...] [--text TEXT] [--rounds 5]

Each call is a process of its own. Seconds by the clock and of the processor, and the largest
memory, as medians; the first round is not counted. With --other, another checkout of newsclf asks
the run too, in its turn. What is found goes into figures/start.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from newsclf.core.machine import processor_units
from newsclf.core.provenance import circumstances

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "nbs/explanations/figures/start.json"
NEWSCLF = [sys.executable, "-c", "import sys; from newsclf.cli.main import main; sys.exit(main())"]


def one_call(place: str, text: str, checkout: Path) -> dict:
    "Ask once, and see what it took"
    how = os.environ | dict(PYTHONPATH=str(checkout), HF_HUB_OFFLINE="1")
    began = time.perf_counter()
    ask = [*NEWSCLF, "predict", "--model", place, text]
    child = subprocess.Popen(ask, env=how, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"predict --model {place} failed")
    seconds = time.perf_counter() - began
    return dict(seconds=seconds, cpu=used.ru_utime + used.ru_stime, mb=used.ru_maxrss / 1024)


def main():
    "Take turns, and store the medians"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a run")
    parser.add_argument("exports", nargs="*", help="its exports")
    parser.add_argument("--text", default="Oil slips as tankers return to port", help="to classify")
    parser.add_argument("--rounds", type=int, default=5, help="that count [5]")
    parser.add_argument("--other", type=Path, help="another checkout, which asks the run")
    given = parser.parse_args()
    sides = {Path(place).name: (place, ROOT) for place in (given.run, *given.exports)}
    if given.other:
        sides["before"] = (given.run, given.other)
    rounds = [{n: one_call(p, given.text, c) for n, (p, c) in sides.items()}
              for _ in range(given.rounds + 1)][1:]
    found = {
        name: {kind: statistics.median(r[name][kind] for r in rounds) for kind in rounds[0][name]}
        for name in sides
    }
    record = circumstances() | dict(units=processor_units(), rounds=given.rounds, sides=found)
    STORED.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
