"""The audit of a data set, and how well it finds what was planted: near-duplicates, changed labels.
JSON without any text, for the results page.

python nbs/explanations/measure_audit.py ag_news_csv > nbs/explanations/figures/ag-news-audit.json
"""

import json
import sys
import time

import numpy as np
from sklearn.metrics import roc_auc_score

from newsclf.core.config import make_config
from newsclf.data.duplicates import copy_groups, near_copies, text_words
from newsclf.data.linear import label_doubt, linear_baseline, out_of_fold, text_features
from newsclf.run.audits import read_for_audit, run_audit

def edit_text(text, rng, words):
    "A near copy as an editor makes it: words dropped, replaced or moved, a dateline, an entity"
    out, share = text.split(), rng.uniform(0.01, 0.15)
    for _ in range(max(1, round(share * len(out)))):
        at = int(rng.integers(len(out)))
        how = rng.integers(3)
        if how == 0 and len(out) > 3:
            del out[at]
        elif how == 1:
            out[at] = words[rng.integers(len(words))]
        else:
            out.insert(int(rng.integers(len(out))), out.pop(at))
    extra = rng.integers(6)
    if extra == 0:
        out = ["LONDON", "(Reuters)", "-", *out]
    if extra == 1:
        out = [words[rng.integers(len(words))].title(), *out[1:]]
    if extra == 2:
        out = [w.replace("'", "#39;").replace("&", "amp;") for w in out]
    return " ".join(out)


def plant_copies(texts, n, seed=1122):
    "Near copies of random texts, and the row each was made from"
    rng = np.random.default_rng(seed)
    words = sorted({w for t in texts[:2000] for w in t.split()})
    rows = rng.choice(len(texts), n, replace=False)
    return [edit_text(texts[i], rng, words) for i in rows], rows


def shingles(text):
    w = text_words(text)
    return {tuple(w[k : k + 3]) for k in range(max(1, len(w) - 2))}


def similar(a, b):
    return len(shingles(a) & shingles(b)) / len(shingles(a) | shingles(b))


def planted_found(texts, n=1000, seed=1122):
    "How many planted copies the search finds, each similarity computed anew from the texts"
    copies, rows = plant_copies(texts, n, seed)
    both = [*texts, *copies]
    i, j, _ = near_copies(both)
    reported = set(zip(i.tolist(), j.tolist(), strict=True))
    pairs = [(int(a), len(texts) + k) for k, a in enumerate(rows)]
    due = [(a, b) for a, b in pairs if similar(both[a], both[b]) >= 0.5]
    return dict(
        planted=n,
        similar=len(due),
        found=sum(p in reported for p in due),
        pairs=len(reported),
        right=sum(similar(both[a], both[b]) >= 0.5 for a, b in reported),
    )


def flips_found(texts, labels, share=0.05, seed=1122):
    "How well turned labels are told from the others"
    labels, rng = np.asarray(labels), np.random.default_rng(seed)
    flip, k = rng.random(len(labels)) < share, int(labels.max()) + 1
    turned = np.where(flip, (labels + rng.integers(1, k, len(labels))) % k, labels)
    scores = out_of_fold(text_features(texts)[1], turned, copy_groups(texts), seed=seed)
    quality, _, suspect = label_doubt(scores, turned)
    return dict(
        flips=int(flip.sum()),
        auroc=round(float(roc_auc_score(flip, -quality)), 4),
        suspects=int(suspect.sum()),
        right=int((suspect & flip).sum()),
    )


def timed(f, *args):
    start = time.perf_counter()
    out = f(*args)
    return out, round(time.perf_counter() - start, 2)


cfg = make_config(data=sys.argv[1], clean="none")
command = " ".join(["python", sys.argv[0], cfg.data.rstrip("/").split("/")[-1]])
found = run_audit(cfg, say=lambda s: None, command=command)
raw = read_for_audit(cfg)
texts, labels = raw.train["text"].tolist(), raw.train["label"].to_numpy()
seconds = {}
_, seconds["near-duplicates of all training rows"] = timed(near_copies, texts)
test_texts = raw.test["text"].tolist()
_, seconds["linear baseline"] = timed(
    linear_baseline, texts, labels, test_texts, len(found["classes"])
)
planted, seconds["planted copies: made, searched for and recomputed"] = timed(
    planted_found, texts, 1000
)
flips, seconds["turned labels: out of fold"] = timed(flips_found, texts, labels)
for part in ("copies", "leaks"):
    found[part]["list"] = found[part]["list"][:10]
found["suspects"]["list"] = found["suspects"]["list"][:10]
print(json.dumps(found | dict(planted=planted, flips=flips, step_seconds=seconds), indent=1))
