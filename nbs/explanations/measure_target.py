"""Auto-filing and prediction sets for articles of another news agency.

python nbs/explanations/measure_target.py ag_news_csv [--keep target]

A linear model learns 20,000 articles of train.csv that name no agency. Those that begin or end
with the name of one are split a hundred times: calibration rows of one agency, articles of another
as the target, of which 1,000 are read without labels, 300 of these with labels, and the others test
what was promised. The name is taken out of each text. What the model says of them is kept in --keep.
Nothing of the texts is stored. Written to figures/target.json.
"""

import argparse
import csv
import json
import re
from pathlib import Path

import numpy as np

from newsclf.core.config import UserError
from newsclf.core.provenance import circumstances
from newsclf.data.cleaning import clean_text
from newsclf.data.tokens import encode_texts
from newsclf.evaluate.filing import choose_filing
from newsclf.evaluate.shift import compare_rows
from newsclf.evaluate.target import target_weights, weighted_cutoff
from newsclf.model.fitted import Fitted, FittedTemperature, FittedThreshold, Scored, scored
from newsclf.model.linear import new_linear
from newsclf.model.logits import id_logits
from newsclf.model.reference import Reference, row_features
from newsclf.model.tokenizers import load_tokenizer
from newsclf.model.weights import minilm_folder
from newsclf.run.target import _by_labels, _by_weights, _Source
from newsclf.train.regression import fit_linear

HERE = Path(__file__).resolve().parent
NAMES = ["World", "Sports", "Business", "Sci/Tech"]
TITLE = re.compile(r"\s*\((Reuters|AP|AFP)\)\s*$")
BODY = re.compile(r"^(.{0,60}?)\(?\b(Reuters|AP|AFP)\)? -+ ")
FITTED, SPLITS = 20_000, 100
CALIBRATION, OTHER, READ, LABELLED = 3000, 1000, 1000, 300
PAIRS = (("Reuters", "Reuters"), ("Reuters", "AP"), ("AP", "Reuters"), ("Reuters", "AFP"))
COVERAGES = ("0.95", "0.99")


def read_rows(data):
    "Text without the name of an agency, this name, and class of each row"
    out = {}
    with open(Path(data) / "train.csv", encoding="utf-8", newline="") as f:
        for label, title, body in csv.reader(f):
            ends, begins = TITLE.search(title), BODY.search(body)
            agency = ends[1] if ends else begins[2] if begins else ""
            bare = TITLE.sub("", title), BODY.sub(r"\1", body)
            text = clean_text(" ".join(bare), ())
            out.setdefault(text, (text, agency, int(label) - 1)) # copies count once
    return list(out.values())


def answers(rows, keep):
    "Token ids and probabilities of the articles of the agencies"
    tokenizer = load_tokenizer(minilm_folder(), 256)
    rng = np.random.default_rng(1122)
    plain = [row for row in rows if not row[1]]
    plain = [plain[i] for i in rng.permutation(len(plain))[:FITTED]]
    named = [row for row in rows if row[1]]
    ids = encode_texts(tokenizer, [row[0] for row in named], 256)[0]
    path = keep / "target.npz"
    if not path.exists():
        model = new_linear(tokenizer, NAMES)
        learned = encode_texts(tokenizer, [row[0] for row in plain], 256)[0]
        labels = np.array([row[2] for row in plain])
        fit_linear(model, learned, labels, tokenizer.all_special_ids, None, 1122)
        np.savez(path, logits=id_logits(model, ids, tokenizer.pad_token_id))
    with np.load(path) as kept: # arrays only: numpy refuses objects
        z = kept["logits"].astype(np.float64)
    assert len(z) == len(named), f"remove {path}: it is of other articles"
    return named, ids, np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True)), tokenizer


class Pool:
    "Features, probabilities and labels of all articles"

    def __init__(self, named, ids, proba, tokenizer):
        self.unknown = tokenizer.unk_token_id
        self.special = tuple(sorted(set(tokenizer.all_special_ids) - {self.unknown}))
        self.features = row_features(ids, proba, self.special, self.unknown)
        self.proba, self.labels = proba, np.array([row[2] for row in named])
        self.agency = np.array([row[1] for row in named])
        self.right = proba.argmax(1) == self.labels

    def source(self, rows, other, precision):
        "What a run would keep of its calibration"
        own = self.proba[rows, self.labels[rows]]
        kept = Reference(self.features.take(rows), self.special, self.unknown, own, self.right[rows])
        fitted = Fitted(FittedTemperature(1.0), dict.fromkeys(COVERAGES),
                        FittedThreshold(None, precision=precision))
        return _Source(fitted, kept, scored(self.proba[other], self.labels[other]))

    def draw(self, rng, home, away):
        "Calibration rows, other rows, target rows that are read, and those that test"
        here = rng.permutation(np.flatnonzero(self.agency == home))
        own, other = here[:CALIBRATION], here[CALIBRATION : CALIBRATION + OTHER]
        there = here[CALIBRATION + OTHER :]
        if away != home:
            there = rng.permutation(np.flatnonzero(self.agency == away))
        read = there[: min(READ, len(there) // 2)]
        return own, other, read, there[len(read) :]

    def found(self, rows, filing, sets):
        "How a threshold and sets do on rows that test them"
        proba, right = self.proba[rows], self.right[rows]
        filed = proba.max(1) >= (np.inf if filing is None else filing)
        own, n = proba[np.arange(len(rows)), self.labels[rows]], int(filed.sum())
        first = proba.argmax(1) == self.labels[rows]
        covered = {c: None if t is None else float(((own >= t) | first).mean())
                   for c, t in sets.items()}
        return dict(filed=n / len(rows), precision=float(right[filed].mean()) if n else None,
                    coverage=covered)


def methods(pool, parts, weights, precision):
    "Calibrate in three ways; None for one that is refused"
    own, other, read, _ = parts
    source, known = pool.source(own, other, precision), read[:LABELLED]
    kept = Scored(pool.proba[own].max(1), pool.right[own])
    plain = choose_filing(kept, source.other, precision)
    even = {c: weighted_cutoff(source.reference.own, np.ones(len(own)), float(c))
            for c in COVERAGES}
    out = dict(plain=(plain.threshold, even))
    asked = dict(weighted=lambda: _by_weights(source, weights, precision),
                 labels=lambda: _by_labels(source, pool.proba[known], pool.labels[known], precision))
    for name, ask in asked.items():
        try:
            found = ask()
            out[name] = found.filing.threshold, found.sets
        except UserError:
            out[name] = None
    return out


def summed(runs, precision):
    "Sum up what a method did in all splits"
    made = [run for run in runs if run is not None]
    filing = [run for run in made if run["precision"] is not None]
    told = dict(refused=len(runs) - len(made), filing=len(filing),
                short=sum(run["precision"] < precision for run in filing))
    if filing:
        told["worst"] = min(run["precision"] for run in filing)
        told["precision"] = float(np.mean([run["precision"] for run in filing]))
    told["filed"] = float(np.mean([run["filed"] for run in made])) if made else 0.0
    for c in COVERAGES:
        got = [run["coverage"][c] for run in made if run["coverage"][c] is not None]
        told[f"coverage_{c}"] = float(np.mean(got)) if got else None
        told[f"coverage_{c}_least"] = min(got) if got else None
    return told


def pair(pool, home, away):
    "A hundred splits of two agencies"
    rng, runs, effective, alarms = np.random.default_rng(1122), {}, [], 0
    for _ in range(SPLITS):
        parts = pool.draw(rng, home, away)
        there, here = (pool.features.take(rows) for rows in (parts[0], parts[2]))
        weights = target_weights(there, here, len(NAMES))
        effective.append(weights.effective)
        alarms += compare_rows(there, here).alarm
        for precision in (0.99, 0.95):
            for name, made in methods(pool, parts, weights, precision).items():
                found = None if made is None else pool.found(parts[3], *made)
                runs.setdefault((name, precision), []).append(found)
    of = [pool.agency == name for name in (home, away)]
    rates = [float(pool.right[some].mean()) for some in of]
    classes = [(np.bincount(pool.labels[some], minlength=4) / some.sum()).tolist() for some in of]
    told = dict(calibration=home, target=away, splits=SPLITS, alarms=int(alarms),
                accuracy=rates, classes=classes, tested=len(parts[3]),
                effective=float(np.mean(effective)))
    told["methods"] = [dict(method=name, promised=precision, **summed(some, precision))
                       for (name, precision), some in runs.items()]
    print(told, flush=True)
    return told


def main():
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("data")
    ask.add_argument("--keep", default="target", help="folder for what the model has said")
    args = ask.parse_args()
    keep = Path(args.keep)
    keep.mkdir(parents=True, exist_ok=True)
    pool = Pool(*answers(read_rows(args.data), keep))
    counts = {name: int((pool.agency == name).sum()) for name in ("Reuters", "AP", "AFP")}
    told = dict(fitted=FITTED, calibration=CALIBRATION, other=OTHER, read=READ, labelled=LABELLED,
                articles=counts, pairs=[pair(pool, *names) for names in PAIRS])
    command = "python nbs/explanations/measure_target.py ag_news_csv"
    (HERE / "figures/target.json").write_text(
        json.dumps(told | dict(seed=1122, **circumstances(command)), indent=1) + "\n")


if __name__ == "__main__":
    main()
