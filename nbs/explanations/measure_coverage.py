"""How often each interval holds the truth, on made-up test sets whose truth is known.

    python nbs/explanations/measure_coverage.py --sets 10000 > nbs/explanations/figures/coverage.json

A cell is a number of test rows and a true accuracy. The confusion of four classes is uneven, the probabilities claim too much, and there are equally
many rows of each class, or, for the figures of a single class, as many as chance gives; in the cells called rare, one class has two rows in a hundred. Cells with fewer than two expected errors are left out. Wilson's
interval of the accuracy is not here: page evaluate sums it exactly.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from scipy import optimize, special, stats

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from newsclf.core.provenance import circumstances
from newsclf.evaluate.intervals import effective_interval, log_t_ends, share_interval, smoothed
from newsclf.evaluate.metrics import confusion_figures
from newsclf.evaluate.reliability import calibration_error, calibration_interval, reliability

K, DRAWS, SHARPER, CHECKED = 4, 2000, 1.3, 100
MOST = dict(log_loss=-np.log(1e-30), brier=2.0) # what a row of `losses` can cost
SIZES, SHARES = (50, 100, 200, 500, 1000, 2000, 7600), (0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99)


RARE = [
    (n, a) for n in (500, 1000, 2000, 7600) for a in (0.8, 0.9, 0.95)
] # rows, accuracy where classes are alike


def cells():
    return [(n, a) for n in SIZES for a in SHARES if n * (1 - a) >= 2]


def of_counts(sizes, accuracy, sets, seed, c=2):
    "Means over classes, whose sizes are given, and the figures of class c, where sizes are drawn, too; by default that with most errors"
    rng = np.random.default_rng(seed)
    where = (
        np.array([[0, 3, 4, 3], [5, 0, 3, 2], [3, 1, 0, 6], [3, 1, 6, 0]]) / 10
    ) # of the errors of each class
    wrong = (1 - accuracy) * np.array([0.8, 0.4, 1.5, 1.3])
    truth = where * wrong[:, None] + np.diag(1 - wrong)
    names = ("balanced_accuracy", "macro_precision", "macro_f1")
    true, held, n = (
        confusion_figures(truth * np.array(sizes)[:, None]),
        {k: 0 for k in (*names, "recall", "precision", "f1")},
        sum(sizes),
    )
    for start in range(0, sets, 100):
        m = min(100, sets - start)
        counts = np.stack(
            [rng.multinomial(sizes[k], truth[k], m) for k in range(K)], axis=1
        ) # (sets, classes, classes)
        rates = np.stack([smoothed(one) for one in counts])
        drawn = confusion_figures(
            np.stack(
                [rng.multinomial(sizes[k], rates[:, k], (DRAWS, m)) for k in range(K)], axis=2
            )
        )
        found = confusion_figures(counts)
        for k in names:
            spread = drawn[k].std(0)
            both = zip(found[k], spread, strict=True)
            ends = np.array([effective_interval(v, s, n) for v, s in both])
            held[k] += int(((ends[:, 0] <= true[k]) & (true[k] <= ends[:, 1])).sum())
        loose = rng.multinomial(n, (truth * np.array(sizes)[:, None] / n).ravel(), m).reshape(
            m, K, K
        )
        right, there, said = loose[:, c, c], loose[:, c].sum(1), loose[:, :, c].sum(1)
        for k, tries, back in (
            ("recall", there, lambda v: v),
            ("precision", said, lambda v: v),
            ("f1", there + said - right, lambda v: 2 * v / (1 + v)),
        ):
            ends = [
                [back(e) for e in share_interval(r, t)] if t else [0, 1]
                for r, t in zip(right, tries, strict=True)
            ]
            held[k] += sum(bool(lo <= true[k][c] <= hi) for lo, hi in ends)
    return {k: v / sets for k, v in held.items()}


def margin(accuracy):
    "Distance of class centres at which the best guess is right so often"

    def right(m):
        return np.trapezoid(stats.norm.pdf(t - m) * stats.norm.cdf(t) ** (K - 1), t) - accuracy

    t = np.linspace(-8, 14, 4001)
    return optimize.brentq(right, 0.01, 8)


def forecasts(labels, m, sets, rng):
    "True and claimed probabilities of classes that are clouds around their centres, (sets, rows, classes)"
    x = rng.standard_normal((sets, len(labels), K), dtype=np.float32)
    x[:, np.arange(len(labels)), labels] += np.float32(m)
    return special.softmax(m * x, axis=-1), special.softmax(SHARPER * m * x, axis=-1)


def losses(p, labels):
    own = p[:, np.arange(len(labels)), labels]
    return dict(log_loss=-np.log(np.maximum(own, 1e-30)), brier=(p**2).sum(-1) - 2 * own + 1)


def of_losses(n, accuracy, sets, seed):
    "Means over rows. The draws are the same for all test sets of a cell, so that they are a product of matrices"
    rng, m, each = np.random.default_rng(seed), margin(accuracy), n // K
    labels = np.repeat(np.arange(K), each)
    many = np.repeat(np.arange(K), 50_000)
    big = [losses(forecasts(many, m, 1, rng)[1], many) for _ in range(10)]
    true = {
        k: np.mean([b[k].astype(np.float64).mean() for b in big]) for k in ("log_loss", "brier")
    }
    weights = [
        np.stack(
            [np.bincount(d, minlength=each) for d in rng.integers(0, each, (DRAWS, each))]
        ).astype(np.float32)
        for _ in range(K)
    ]
    weights = [
        np.vstack([np.ones((1, each), np.float32), w]) for w in weights
    ] # the first is of the rows themselves
    held = dict(log_loss=0, brier=0)
    step = max(1, min(500, 2_000_000 // n))
    for start in range(0, sets, step):
        now = min(step, sets - start)
        for k, v in losses(forecasts(labels, m, now, rng)[1], labels).items():
            scale, mean, variance = v.mean(), 0.0, 0.0
            for c in range(K):
                part = (v[:, labels == c] / scale).T.astype(np.float32)
                first, second = weights[c] @ part / each, weights[c] @ part**2 / each
                mean, variance = (
                    mean + first / K,
                    variance + np.maximum(second - first**2, 0) / (each - 1) / K**2,
                )
            mean, variance = mean.astype(np.float64), variance.astype(np.float64)
            ends = log_t_ends(mean, variance, MOST[k] / scale) * scale
            held[k] += int(((ends[0] <= true[k]) & (true[k] <= ends[1])).sum())
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


def of_calibration(n, accuracy, sets, seed):
    "The calibration error: its truth is that of the very bins that a test set gives"
    rng, m = np.random.default_rng(seed), margin(accuracy)
    true, claimed = forecasts(rng.integers(0, K, 500_000), m, 1, rng)
    said, sure = claimed[0].argmax(1), claimed[0].max(1).astype(np.float64)
    order = np.argsort(sure)
    level, gap = (
        sure[order],
        np.concatenate(
            [
                [0],
                np.cumsum(
                    true[0][np.arange(len(said)), said].astype(np.float64)[order] - sure[order]
                ),
            ]
        ),
    )
    held = others = 0
    for i in range(sets):
        labels = rng.integers(0, K, n)
        p = forecasts(labels, m, 1, rng)[1][0].astype(np.float64)
        bins = reliability(p, labels)
        cut = np.sort(p.max(1))[np.cumsum(bins.rows)[:-1]]
        at = np.concatenate([[0], np.searchsorted(level, cut), [len(level)]])
        truth = np.abs(np.diff(gap[at])).sum() / len(level)
        inside = holds(bins, truth, i)
        if i < CHECKED:
            (lo, hi), _ = calibration_interval(bins, seed=i)
            others += inside != bool(lo <= truth <= hi)
        held += inside
    return dict(ece=held / sets, ece_checked=min(CHECKED, sets), ece_otherwise=others)


if __name__ == "__main__":
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--sets", type=int, default=10_000, help="test sets a cell")
    args.add_argument("--parts", default="counts,losses,calibration,rare")
    args = args.parse_args()
    parts, found, seed = args.parts.split(","), [], 1122
    for n, a in cells():
        n, cell = (
            n // K * K,
            dict(rows=n // K * K, accuracy=a, expected_errors=round(n // K * K * (1 - a), 1)),
        )
        if "counts" in parts:
            cell |= of_counts([n // K] * K, a, args.sets, seed + n + int(1000 * a))
        if "losses" in parts:
            cell |= of_losses(n, a, args.sets, seed + n + int(1000 * a))
        if "calibration" in parts:
            cell |= of_calibration(n, a, args.sets, seed + n + int(1000 * a))
        found.append(cell)
        print(cell, file=sys.stderr)
    rare = []
    for n, a in RARE if "rare" in parts else ():
        sizes = [n * s // 100 for s in (40, 30, 28, 2)]
        rare.append(
            dict(rows=sum(sizes), rows_of_class=sizes[-1], accuracy=a)
            | of_counts(sizes, a, args.sets, seed + n + int(1000 * a), c=3)
        )
        print(rare[-1], file=sys.stderr)
    print(
        json.dumps(
            dict(
                sets=args.sets,
                draws=DRAWS,
                cells=found,
                rare=rare,
                seed=seed,
                **circumstances(
                    "python nbs/explanations/measure_coverage.py " + " ".join(sys.argv[1:])
                ),
            ),
            indent=1,
        )
    )
