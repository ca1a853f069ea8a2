"""How often each interval holds the truth, on made-up test sets whose truth is known.

    python nbs/explanations/measure_coverage.py --sets 2000 > nbs/explanations/figures/coverage.json

A cell is a number of test rows and a true accuracy. Each row's class is drawn at random, so the numbers of rows of the classes vary between test sets.
The counts come from an uneven confusion of four classes; the probabilities from classes that are clouds, and claim too much. Cells with fewer than two
expected errors are left out. The part `shares` has, besides, the calibration error; it has even classes and shares of .5, .3, .18 and .02, at 300, 1,000 and 5,000 rows; its counts come from both
worlds. The part `tried` compares other intervals of means over classes. Wilson's interval of the accuracy is not here: page intervals sums it exactly.
"""

import argparse
import functools
import json
import sys
from pathlib import Path

import numpy as np
from scipy import optimize, special, stats

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from newsclf.core.provenance import circumstances
from newsclf.evaluate.intervals import f1_estimate, log_t_ends, mean_intervals, share_interval
from newsclf.evaluate.metrics import confusion_figures
from newsclf.evaluate.reliability import calibration_error, calibration_interval, reliability

K, DRAWS, RESAMPLES, SHARPER = 4, 2000, 1000, 1.3 # the calibration error draws more
CHECKED, FEWER, SOME = 20, 500, 1000 # test sets: of the shortcut; of what takes long; of `cells`
MOST = dict(log_loss=-np.log(1e-30), brier=2.0) # what a row of `losses` can cost
SIZES, SHARES = (100, 500, 2000), (0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99)
EVEN, UNEVEN = (0.25,) * K, (0.5, 0.3, 0.18, 0.02)
MEANS = ("balanced_accuracy", "macro_precision", "macro_f1")


def cells():
    return [(n, a) for n in SIZES for a in SHARES if n * (1 - a) >= 2]


def inside(ends, truth):
    return int(((ends[0] <= truth) & (truth <= ends[1])).sum())


def confusion(shares, accuracy):
    "Probability of each pair of true and predicted class, with errors that are more frequent in some classes"
    where = np.array([[0, 3, 4, 3], [5, 0, 3, 2], [3, 1, 0, 6], [3, 1, 6, 0]]) / 10
    wrong = (1 - accuracy) * np.array([0.8, 0.4, 1.5, 1.3])
    return (where * wrong[:, None] + np.diag(1 - wrong)) * np.array(shares)[:, None]


def of_counts(truth, n, sets, seed, c=2):
    "Means over classes, and the figures of class c; by default that with most errors"
    rng, true = np.random.default_rng(seed), confusion_figures(truth)
    counts = rng.multinomial(n, truth.ravel(), sets).reshape(sets, K, K)
    held = dict.fromkeys((*MEANS, "recall", "precision", "f1"), 0)
    for one in counts:
        for k, ends in mean_intervals(one).items():
            held[k] += inside(ends, true[k])
        right, there, said = int(one[c, c]), int(one[c].sum()), int(one[:, c].sum())
        held["recall"] += inside(share_interval(right, there) or [0, 1], true["recall"][c])
        held["precision"] += inside(share_interval(right, said) or [0, 1], true["precision"][c])
        f1 = f1_estimate(right, there + said - right).interval or [0, 1]
        held["f1"] += inside(f1, true["f1"][c])
    return {k: v / sets for k, v in held.items()}


@functools.cache
def clouds(shares, accuracy):
    world = Clouds(shares, accuracy)
    return world, *world.truth()


class Clouds:
    "Classes that are clouds around their centres, as far apart as the accuracy demands"

    def __init__(self, shares, accuracy):
        self.shares = np.array(shares)
        rng = np.random.default_rng(5)
        labels = rng.choice(K, 200_000, p=shares)
        noise, own = rng.standard_normal((200_000, K)), np.eye(K)[labels]

        def right(m):
            said = (m * (noise + m * own) + np.log(self.shares)).argmax(1)
            return (said == labels).mean() - accuracy

        self.distance = optimize.brentq(right, 0.01, 9, xtol=1e-3)

    def draw(self, shape, rng):
        "Labels, true and claimed probabilities"
        labels, m = rng.choice(K, shape, p=self.shares), np.float32(self.distance)
        x = rng.standard_normal((*labels.shape, K), dtype=np.float32)
        x += m * np.eye(K, dtype=np.float32)[labels]
        x = m * x + np.log(self.shares).astype(np.float32)
        return labels, special.softmax(x, axis=-1), special.softmax(SHARPER * x, axis=-1)

    def truth(self):
        "The confusion, and both mean losses, of two million rows"
        rng, counts, sums = np.random.default_rng(6), np.zeros((K, K)), []
        for _ in range(10):
            labels, _, p = self.draw((1, 200_000), rng)
            np.add.at(counts, (labels[0], p[0].argmax(1)), 1)
            sums.append({k: v.astype(float).mean() for k, v in losses(p, labels).items()})
        return counts / counts.sum(), {k: np.mean([s[k] for s in sums]) for k in MOST}


def losses(p, labels):
    own = np.take_along_axis(p, labels[..., None], -1)[..., 0]
    return dict(log_loss=-np.log(np.maximum(own, 1e-30)), brier=(p**2).sum(-1) - 2 * own + 1)


def of_losses(world, true, n, sets, seed):
    "Means over rows. The draws are the same for all test sets of a cell, so that they are a product of matrices"
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float32)
    weights = np.vstack([np.ones((1, n), np.float32), weights]) # the first: the rows themselves
    held, step = dict.fromkeys(MOST, 0), max(1, min(500, 2_000_000 // n))
    for start in range(0, sets, step):
        labels, _, p = world.draw((min(step, sets - start), n), rng)
        for k, v in losses(p, labels).items():
            scale = v.mean()
            part = (v / scale).T.astype(np.float32)
            first, second = weights @ part / n, weights @ part**2 / n
            mean = first.astype(np.float64)
            variance = np.maximum(second - first**2, 0).astype(np.float64) / (n - 1)
            ends = log_t_ends(mean, variance, MOST[k] / scale) * scale
            held[k] += inside(ends, true[k])
    return {k: v / sets for k, v in held.items()}


def holds(bins, truth, seed, draws=DRAWS, tail=0.025):
    "Whether `calibration_interval` holds the truth: its test at the steps beside the truth, in place of all two hundred"
    spread, weight, seen = (
        np.maximum(bins.spread, 1e-9),
        np.array(bins.rows) / sum(bins.rows),
        calibration_error(bins),
    )
    noise = np.random.default_rng(seed).standard_normal((draws, len(spread))) * spread
    step, shape = (
        (seen + 2 * float((np.abs(noise) @ weight).mean())) / 200,
        spread / (spread @ weight),
    )

    def would(t):
        return np.abs(t * step * shape + noise) @ weight

    below, above = (
        min(int(truth / step) + 1, 200),
        min(max(int(np.ceil(truth / step)) - 1, 0), 200),
    )
    return bool(
        (would(below) >= seen).mean() > tail
        and (
            (truth <= 200 * step
            and (would(above) <= seen).mean() > tail)
            or truth <= seen + 3 / sum(bins.rows)
        )
    )


def of_calibration(world, n, sets, seed):
    "The calibration error: its truth is that of the very bins that a test set gives"
    rng = np.random.default_rng(seed)
    _, true, claimed = (x[0] for x in world.draw((1, 200_000), rng))
    said, sure = claimed.argmax(1), claimed.max(1).astype(np.float64)
    order = np.argsort(sure)
    level = sure[order]
    off = true[np.arange(len(said)), said].astype(np.float64)[order] - level
    gap = np.concatenate([[0], np.cumsum(off)])
    held = others = 0
    for i in range(sets):
        labels, _, p = (x[0] for x in world.draw((1, n), rng))
        p = p.astype(np.float64)
        bins = reliability(p, labels)
        cut = np.sort(p.max(1))[np.cumsum(bins.rows)[:-1]]
        at = np.concatenate([[0], np.searchsorted(level, cut), [len(level)]])
        truth = np.abs(np.diff(gap[at])).sum() / len(level)
        found = holds(bins, truth, i)
        if i < CHECKED:
            (lo, hi), _ = calibration_interval(bins, seed=i)
            others += found != bool(lo <= truth <= hi)
        held += found
    return dict(ece=held / sets, ece_checked=min(CHECKED, sets), ece_otherwise=others)


def smoothed(counts):
    "Rates by true class, with half a correct and half a wrong row more"
    own = np.eye(K, dtype=bool)
    wrong = np.where(own, 0, counts + 1e-9)
    rates = counts + own / 2 + wrong / wrong.sum(1, keepdims=True) / 2
    return rates / rates.sum(1, keepdims=True)


def effective(value, spread, n):
    "Wilson's interval for as many rows as give a proportion this spread"
    rows = value * (1 - value) / spread**2 if spread > 1e-6 and 0 < value < 1 else n
    z = stats.norm.isf(0.025)
    centre = (value + z**2 / (2 * rows)) / (1 + z**2 / rows)
    half = z / (1 + z**2 / rows) * np.sqrt(value * (1 - value) / rows + z**2 / (4 * rows**2))
    return [centre - half, centre + half]


def other_ways(one, rng):
    "Intervals of means over classes that were considered and rejected"
    n, sizes, rates = one.sum(), one.sum(1), smoothed(one)
    value = confusion_figures(one)
    pairs = zip(sizes, rates, strict=True)
    fixed = confusion_figures(np.stack([rng.multinomial(m, p, 500) for m, p in pairs], axis=1))
    whole = (rates * sizes[:, None] / n).ravel()
    free = confusion_figures(rng.multinomial(n, whole, 500).reshape(-1, K, K))
    right, there, said = np.diagonal(one), sizes, one.sum(0)
    for k, tries in zip(MEANS[:2], (there, said), strict=True):
        ends = np.array([share_interval(*x) or [0, 1] for x in zip(right, tries, strict=True)])
        sides = np.abs(ends - (right / np.maximum(tries, 1))[:, None])[there > 0]
        low, high = np.sqrt((sides**2).sum(0)) / len(sides)
        yield k, "sides of Wilson's intervals", [value[k] - low, value[k] + high]
    for k in MEANS:
        yield k, "class counts fixed", effective(value[k], fixed[k].std(), n)
        yield k, "all rows drawn", effective(value[k], free[k].std(), n)
        yield k, "all rows drawn, percentiles", np.quantile(free[k], (0.025, 0.975))


def of_others(truth, n, sets, seed):
    rng, true, held = np.random.default_rng(seed), confusion_figures(truth), {}
    for one in rng.multinomial(n, truth.ravel(), sets).reshape(sets, K, K):
        for k, name, ends in other_ways(one, rng):
            way = held.setdefault(name, {})
            way[k] = way.get(k, 0) + inside(ends, true[k])
    return {name: {k: v / sets for k, v in way.items()} for name, way in held.items()}


def measure(parts, sets, seed):
    found, shares, tried, some = [], [], [], min(sets, SOME)
    for name, p in (("even", EVEN), ("uneven", UNEVEN)):
        for a in (0.8, 0.9, 0.95) if "shares" in parts else ():
            world, counts, mean = clouds(p, a)
            for n in (300, 1000, 5000):
                at = seed + n + int(1000 * a)
                cell = dict(shares=name, rows=n, accuracy=a)
                cell |= of_losses(world, mean, n, sets, at)
                cell |= of_calibration(world, n, min(sets, FEWER), at)
                for kind, table in (("clouds", counts), ("confusion", confusion(p, a))):
                    by = of_counts(table, n, sets, at, c=3)
                    shares.append(cell | dict(counts=kind) | by)
                    print(shares[-1], file=sys.stderr, flush=True)
                    if "tried" in parts and name == "uneven" and kind == "clouds":
                        ways = of_others(table, n, min(sets, FEWER), at)
                        tried.append(dict(rows=n, accuracy=a, ways=ways))
                        print(tried[-1], file=sys.stderr, flush=True)
    for n, a in cells() if {"counts", "losses"} & set(parts) else ():
        at, errors = seed + n + int(1000 * a), round(n * (1 - a), 1)
        cell = dict(rows=n, accuracy=a, expected_errors=errors)
        world, _, mean = clouds(EVEN, a)
        if "counts" in parts:
            cell |= of_counts(confusion(EVEN, a), n, some, at)
        if "losses" in parts:
            cell |= of_losses(world, mean, n, some, at)
        found.append(cell)
        print(cell, file=sys.stderr, flush=True)
    return dict(cells=found, shares=shares, tried=tried)


if __name__ == "__main__":
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--sets", type=int, default=2000, help="test sets a cell")
    args.add_argument("--parts", default="counts,losses,shares,tried")
    args = args.parse_args()
    command = "python nbs/explanations/measure_coverage.py " + " ".join(sys.argv[1:])
    told = dict(sets=args.sets, fewer=FEWER, some=SOME, draws=RESAMPLES) | measure(args.parts.split(","), args.sets, 1122)
    print(json.dumps(told | dict(seed=1122, **circumstances(command)), indent=1))
