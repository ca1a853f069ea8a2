"""How often intervals hold the truth, on made-up tests whose rows come in stories.

    python nbs/explanations/measure_clusters.py > nbs/explanations/figures/clusters.json

A cell is a number of stories, how many copies they have (1 to 20: all numbers as often, k copies in proportion to 1/k or to 1/k²), a true accuracy, and the
correlation of two rows of a story. Each story has its own rate of correct rows, from a beta distribution; for two models, its own rates of rows that only one
of them has right. A test for which the program gives no interval, because its stories are too few, is left out and counted. The part `tried` has what was
considered and rejected.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from scipy.stats import norm, t

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from newsclf.core.provenance import circumstances
from newsclf.evaluate.clusters import difference_ends, effective_rows, equal_clusters

COPIES = np.arange(1, 21)
SIZES = {"even": COPIES**0.0, "1/k": 1 / COPIES, "1/k²": 1 / COPIES**2}
ACCURACIES, CORRELATIONS = (0.8, 0.95), (0.2, 0.5, 0.9)
ONLY = ((0.04, 0.06), (0.02, 0.02)) # rows that only A, only B has right
FEWEST, DRAWS, Z = 40, 400, norm.isf(0.025)


def draw_sizes(kind, stories, sets, rng):
    return rng.choice(COPIES, (sets, stories), p=SIZES[kind] / SIZES[kind].sum())


def draw_right(sizes, accuracy, correlation, rng):
    a = (1 - correlation) / correlation
    return rng.binomial(sizes, rng.beta(accuracy * a, (1 - accuracy) * a, sizes.shape))


def draw_apart(sizes, only_a, only_b, correlation, rng):
    "Rows that only A, and that only B has right"
    a, differ = (1 - correlation) / correlation, only_a + only_b
    apart = rng.binomial(sizes, rng.beta(differ * a, (1 - differ) * a, sizes.shape))
    b = rng.binomial(apart, rng.beta(only_b * a, only_a * a, sizes.shape))
    return apart - b, b


def wilson(share, n):
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return centre - half, centre + half


def held(ends, truth, gave):
    "Rate of the tests with an interval whose interval holds the truth, and its mean length"
    inside = (ends[0] <= truth) & (truth <= ends[1])
    return round(float(inside[gave].mean()), 4), round(float((ends[1] - ends[0])[gave].mean()), 4)


def robust(sizes, right):
    "Accuracy, and its standard error by the variance between clusters alone"
    n, k = sizes.sum(1), sizes.shape[1]
    share = right.sum(1) / n
    apart = right - sizes * share[:, None]
    return share, np.sqrt((apart**2).sum(1) * k / (k - 1)) / n


def symmetric(sizes, right):
    share, error = robust(sizes, right)
    half = t.isf(0.025, sizes.shape[1] - 1) * error
    return share - half, share + half


def on_logit(sizes, right):
    share, error = robust(sizes, right)
    share = np.clip(share, 1e-9, 1 - 1e-9)
    middle = np.log(share / (1 - share))
    half = t.isf(0.025, sizes.shape[1] - 1) * error / (share * (1 - share))
    return tuple(1 / (1 + np.exp(-middle + side * half)) for side in (1, -1))


def nothing_added(sizes, right):
    "Wilson's interval for effective rows, without the two added clusters"
    share, error = robust(sizes, right)
    n, equal = sizes.sum(1), equal_clusters(sizes)
    own = share * (1 - share) / n
    effect = np.where(own > 0, error**2 / np.maximum(own, 1e-12), n / equal)
    wider = t.isf(0.025, equal - 1) / Z
    return wilson(share, n / np.maximum(effect, 1) / wider**2)


def bootstrap_t(sizes, right, rng):
    "Bootstrap of clusters, studentized"
    k = sizes.shape[1]
    times = rng.multinomial(k, np.full(k, 1 / k), DRAWS).astype(np.float64)
    parts = (sizes, right, right * right, right * sizes, sizes * sizes)
    n, r, rr, rn, nn = (times @ part.T for part in parts)
    share, error = robust(sizes, right)
    drawn = r / n
    spread = np.sqrt(np.maximum(rr - 2 * drawn * rn + drawn**2 * nn, 0)) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.where(spread > 0, (drawn - share) / spread, np.sign(drawn - share) * 1e3)
    low, high = np.quantile(far, (0.025, 0.975), axis=0)
    return share - high * error, share - low * error


def of_accuracy(stories, kind, accuracy, correlation, sets, seed):
    rng = np.random.default_rng(seed)
    sizes = draw_sizes(kind, stories, sets, rng)
    right = draw_right(sizes, accuracy, correlation, rng)
    equal, n = equal_clusters(sizes), sizes.sum(1)
    gave, share = equal >= FEWEST, right.sum(1) / n
    cell = dict(stories=stories, copies=kind, accuracy=accuracy, correlation=correlation)
    cell |= dict(rows=round(float(n.mean())), equal=round(float(equal.mean()), 1))
    cell |= dict(gave=float(gave.mean()))
    if not gave.any():
        return cell, {}
    cell["plain"], cell["plain_length"] = held(wilson(share, n), accuracy, gave)
    ours = wilson(share, effective_rows(sizes, right))
    cell["clustered"], cell["clustered_length"] = held(ours, accuracy, gave)
    tried = {}
    for name, way in dict(symmetric=symmetric, logit=on_logit, bare=nothing_added).items():
        tried[name] = held(way(sizes, right), accuracy, gave)
    if stories <= 100:
        tried["bootstrap_t"] = held(bootstrap_t(sizes, right, rng), accuracy, gave)
    return cell, tried


def of_difference(stories, kind, only, correlation, sets, seed):
    rng = np.random.default_rng(seed)
    sizes = draw_sizes(kind, stories, sets, rng)
    a, b = draw_apart(sizes, *only, correlation, rng)
    truth, gave, n = only[1] - only[0], equal_clusters(sizes) >= FEWEST, sizes.sum(1)
    cell = dict(stories=stories, copies=kind, only_a=only[0], only_b=only[1])
    cell |= dict(correlation=correlation, gave=float(gave.mean()))
    mean, apart = (b - a).sum(1) / n, (a + b).sum(1)
    half = Z * np.sqrt(np.maximum(apart - n * mean**2 + 1, 0)) / n
    cell["plain"], cell["plain_length"] = held((mean - half, mean + half), truth, gave)
    ends = difference_ends(sizes, b - a, apart)
    cell["clustered"], cell["clustered_length"] = held(ends, truth, gave)
    return cell


def measure(sets, seed):
    accuracy, tried, difference = [], [], []
    for stories in (1000, 100, 30):
        for kind in SIZES:
            for a in ACCURACIES:
                for c in CORRELATIONS:
                    at = [seed, stories, len(accuracy)]
                    cell, ways = of_accuracy(stories, kind, a, c, sets, at)
                    accuracy.append(cell)
                    if ways:
                        tried.append(dict(stories=stories, copies=kind, accuracy=a, correlation=c) | ways)
            print(accuracy[-1], file=sys.stderr, flush=True)
            for only in ONLY if stories > 30 else ():
                for c in CORRELATIONS[::2]:
                    at = [seed, stories, 1000 + len(difference)]
                    difference.append(of_difference(stories, kind, only, c, sets, at))
    return dict(accuracy=accuracy, tried=tried, difference=difference)


if __name__ == "__main__":
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--sets", type=int, default=2000, help="tests a cell")
    args = args.parse_args()
    command = " ".join(["python nbs/explanations/measure_clusters.py", *sys.argv[1:]])
    told = dict(sets=args.sets, fewest=FEWEST, draws=DRAWS) | measure(args.sets, 1122)
    print(json.dumps(told | dict(seed=1122, **circumstances(command)), indent=1))
