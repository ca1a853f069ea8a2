"""How often the monitor raises a false alarm, and how soon it finds a fall.

python nbs/explanations/measure_monitor.py [--streams 1000] [--seed 0]

Streams of verdicts are drawn at random. Without a fall, 99% are correct, for 100,000 verdicts;
then a fall to 97%, after 0, 3,000 and 10,000 verdicts. A stream with an alarm before its fall
does not count as found. The single bet placed when the monitoring began is tried on the same
streams, with the limit of a test that is looked at as often as one likes (20). JSON on the
screen and in figures/monitor.json. It takes some minutes.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from newsclf.core.provenance import circumstances
from newsclf.evaluate import alarm

STORED = Path(__file__).resolve().parent / "figures/monitor.json"
PROMISED, FALLEN = 0.99, 0.97
LENGTH, STARTS = 100_000, (0, 3000, 10_000)
WITHIN = 1500


def in_parts(streams: int, length: int):
    "Split streams so that about 40 million numbers are held at once"
    size = max(1, 1_000_000 // length)
    return [min(size, streams - at) for at in range(0, streams, size)]


def single_bet(wrong: np.ndarray) -> np.ndarray:
    "Find the verdict with which one bet, placed at the beginning, reaches 20; 0 where it does not"
    bets = alarm._log_factors(wrong, PROMISED).cumsum(-1)
    parts = np.log(alarm._PARTS)[:, None, None]
    above = np.logaddexp.reduce(bets + parts, axis=0) >= np.log(20)
    return np.where(above.any(-1), above.argmax(-1) + 1, 0)


def kept(streams: int, rng: np.random.Generator) -> dict:
    "Count false alarms while the promise holds"
    found = np.concatenate([
        alarm.first_alarm(rng.random((part, LENGTH)) >= PROMISED, PROMISED)
        for part in in_parts(streams, LENGTH)
    ])
    return dict(streams=streams, verdicts=LENGTH, false_alarms=int((found > 0).sum()))


def fell(streams: int, start: int, rng: np.random.Generator) -> dict:
    "Count the falls that are found in time"
    precision = np.repeat([PROMISED, FALLEN], [start, WITHIN])
    ours, single = [], []
    for part in in_parts(streams, len(precision)):
        wrong = rng.random((part, len(precision))) >= precision
        ours.append(alarm.first_alarm(wrong, PROMISED))
        single.append(single_bet(wrong))
    ours, single = np.concatenate(ours), np.concatenate(single)
    delays = ours[ours > start] - start
    return dict(
        start=start,
        streams=streams,
        before=int(((ours > 0) & (ours <= start)).sum()),
        found=len(delays),
        median_delay=float(np.median(delays)),
        found_by_single_bet=int((single > start).sum()),
    )


def main():
    "Simulate, and store what was found"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=1000, help="streams of each kind [1000]")
    parser.add_argument("--seed", type=int, default=0, help="seed of the streams [0]")
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    falls = [fell(given.streams, start, rng) for start in STARTS]
    found = circumstances() | dict(
        seed=given.seed,
        promised=PROMISED,
        fallen=FALLEN,
        within=WITHIN,
        falls=falls,
        kept=kept(given.streams, rng),
    )
    STORED.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
