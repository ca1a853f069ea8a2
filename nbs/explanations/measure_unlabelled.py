"""How far mean confidence, which the monitor gives without verdicts, is from the truth.

python nbs/explanations/measure_unlabelled.py RUN [--draws 100] [--seed 1122]

RUN was tested on articles that it has not seen; their labels and probabilities are in its
predictions.parquet. Articles are drawn at random: for each number, mean confidence is compared
with the rate of correct predictions, among all of them and among those that are auto-filed.
`calibrated` is the same for a model without any fault of calibration: labels are drawn from its
own probabilities. `corrected` adds what mean confidence is off by on calibration rows, which are
drawn from the other articles. JSON on the screen and in figures/unlabelled.json, in seconds.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from newsclf.core.provenance import circumstances

STORED = Path(__file__).resolve().parent / "figures/unlabelled.json"
ROWS, CALIBRATION = (500, 1000, 3000), (48, 300, 616, 3000)
NEAR = 0.01


@dataclass(frozen=True)
class Rows:
    "What a run said of its test rows"
    sure: np.ndarray # (rows,) confidence
    right: np.ndarray # (rows,) bool
    auto: np.ndarray # (rows,) bool


def read(run: Path) -> Rows:
    "Read the predictions of a run, and its threshold"
    table = pq.read_table(run / "predictions.parquet").to_pandas()
    sure = table.filter(like="p_").max(axis=1).to_numpy()
    config = json.loads((run / "model/config.json").read_text(encoding="utf-8"))
    threshold = config["newsclf"]["calibration"]["filing"]["threshold"]
    right = (table["label"] == table["predicted"]).to_numpy()
    return Rows(sure, right, sure >= threshold)


def summed(off: list[float]) -> dict:
    "Say how far an estimate was off"
    off = np.array(off)
    return dict(within=float((abs(off) <= NEAR).mean()), mean_error=float(abs(off).mean()),
                bias=float(off.mean()))


def drawn(rows: Rows, n: int, draws: int, rng: np.random.Generator) -> dict:
    "Draw articles, and compare the estimate with the truth"
    found = {"all": [], "all, calibrated": [], "auto": [], "auto, calibrated": []}
    for _ in range(draws):
        some = rng.permutation(len(rows.sure))[:n]
        luck = rng.random(n) < rows.sure[some]
        for name, mask in (("all", np.ones(n, bool)), ("auto", rows.auto[some])):
            mean = rows.sure[some][mask].mean()
            found[name].append(mean - rows.right[some][mask].mean())
            found[f"{name}, calibrated"].append(mean - luck[mask].mean())
    return dict(rows=n, draws=draws) | {name: summed(off) for name, off in found.items()}


def corrected(rows: Rows, size: int, draws: int, rng: np.random.Generator) -> dict:
    "Correct the estimate for auto-filed articles by what it is off on calibration rows"
    plain, ours, n = [], [], max(ROWS)
    for _ in range(draws):
        order = rng.permutation(len(rows.sure))
        there, here = order[:size], order[size : size + n]
        there, here = there[rows.auto[there]], here[rows.auto[here]]
        off = [rows.sure[i].mean() - rows.right[i].mean() for i in (there, here)]
        plain.append(off[1])
        ours.append(off[1] - off[0])
    return dict(calibration=size, rows=n, plain=summed(plain), corrected=summed(ours))


def main():
    "Draw, compare, and store what was found"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run that was tested on a few thousand rows")
    parser.add_argument("--draws", type=int, default=100, help="draws of each size [100]")
    parser.add_argument("--seed", type=int, default=1122, help="seed of the draws [1122]")
    given = parser.parse_args()
    rows, rng = read(given.run), np.random.default_rng(given.seed)
    manifest = json.loads((given.run / "manifest.json").read_text(encoding="utf-8"))
    found = circumstances("python nbs/explanations/measure_unlabelled.py RUN") | dict(
        seed=given.seed, of=len(rows.sure), trained=manifest["data"]["rows"]["train"],
        calibration=manifest["data"]["rows"]["calibration"], auto=float(rows.auto.mean()),
        accuracy=float(rows.right.mean()), precision=float(rows.right[rows.auto].mean()),
        draws=[drawn(rows, n, given.draws, rng) for n in ROWS],
        corrected=[corrected(rows, n, given.draws, rng) for n in CALIBRATION],
    )
    STORED.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
