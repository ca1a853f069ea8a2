"""False alarms of the shift test, and how fast it finds articles of other kinds.

python nbs/explanations/measure_shift.py RUN ag_news_csv [--keep shift]

RUN was trained and tested on ag_news_csv. Its articles here are those of test.csv, which it has not
seen, with the probabilities in its predictions.parquet. What it says of titles and sentences is kept
in --keep. Two linear models are fitted to rows of train.csv: one that has never seen an article of
Reuters, and one whose tokenizer sees capital letters. For each number of calibration rows,
calibration rows and articles are drawn anew each time. Nothing of the texts is stored. Written to
figures/shift.json.
"""

import argparse
import csv
import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import transformers
from scipy.stats import ttest_ind
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from newsclf.core.provenance import circumstances
from newsclf.data.cleaning import clean_text
from newsclf.data.tokens import encode_texts
from newsclf.evaluate.shift import LEVEL, ShiftWatch, compare_rows
from newsclf.model.linear import new_linear
from newsclf.model.logits import id_logits
from newsclf.model.reference import make_reference
from newsclf.model.tokenizers import load_tokenizer
from newsclf.model.weights import minilm_folder
from newsclf.predict.predictor import Predictor
from newsclf.train.regression import fit_linear

HERE = Path(__file__).resolve().parent
SIZES, STREAMS, SPLITS, ROWS = (48, 300, 3000), 20, 100, 500
FITTED = 5000 # Rows that the linear models learn
TITLES = 6100 # Test rows that are read whole; of the others, the titles
AGENCY = "Reuters"


class Articles:
    "Token ids and probabilities of some texts, by one model"

    def __init__(self, ids, proba, tokenizer):
        self.ids, self.proba, self.tokenizer = ids, proba, tokenizer

    def take(self, rows):
        return [self.ids[i] for i in rows], self.proba[rows]

    def reference(self, rows):
        return make_reference(*self.take(rows), self.tokenizer)

    def features(self, reference, rows):
        return reference.features(*self.take(rows))

    def __len__(self):
        return len(self.ids)


def read_rows(data, name, clean):
    "Title, text and class of each row"
    out = []
    with open(Path(data) / name, encoding="utf-8", newline="") as f:
        for label, title, description in csv.reader(f):
            text = clean_text(f"{title} {description}", clean)
            out.append((clean_text(title, clean), text, int(label) - 1))
    return out


def tested(clf, run, rows):
    "What a run said of its test rows"
    table = pq.read_table(Path(run) / "predictions.parquet").to_pandas()
    assert len(table) == len(rows), "the run was tested on other rows"
    proba = table[[f"p_{name}" for name in clf.names]].to_numpy()
    ids = [several[0] for several in clf.encode([row[1] for row in rows])]
    some = slice(None, None, 500)
    assert abs(clf.answer([[i] for i in ids[some]]) - proba[some]).max() < 0.01
    return ids, proba


def spanish_sentences():
    "Sentences of the tutorials in Spanish"
    out = set()
    for page in sorted((HERE.parent / "tutorials/es").glob("*.ipynb")):
        for cell in json.loads(page.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] != "markdown":
                continue
            plain = re.sub(r"\[([^]]*)\]\([^)]*\)|[`*#>|]", r"\1", "".join(cell["source"]))
            out |= {s.strip() for s in re.split(r"(?<=[.:?!])\s+|\n", plain)}
    return sorted(s for s in out if len(s.split()) > 5)


def by_run(clf, texts, keep, name):
    "What a run says of texts, kept for the next time"
    path, parts = keep / f"{name}.npz", clf.encode(texts)
    if not path.exists():
        np.savez(path, proba=clf.answer(parts))
    with np.load(path) as kept: # arrays only: numpy refuses objects
        proba = kept["proba"]
    assert len(proba) == len(texts), f"remove {path}: it is of other texts"
    return Articles([several[0] for several in parts], proba, clf.tokenizer)


def cased_tokenizer(texts):
    "A tokenizer that sees capital letters, as that of bert-base-cased"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=20_000,
                                                              special_tokens=special))
    return transformers.BertTokenizer(vocab=made.get_vocab(), do_lower_case=False)


class Linear:
    "A linear model on the tokens of a tokenizer"

    def __init__(self, tokenizer, rows):
        self.tokenizer = tokenizer
        self.model = new_linear(tokenizer, ["World", "Sports", "Business", "Sci/Tech"])
        ids, labels = self.encode([row[1] for row in rows]), [row[2] for row in rows]
        fit_linear(self.model, ids, np.array(labels), tokenizer.all_special_ids, None, 1122)

    def encode(self, texts):
        return encode_texts(self.tokenizer, texts, 256)[0]

    def read(self, texts):
        ids = self.encode(texts)
        z = id_logits(self.model, ids, self.tokenizer.pad_token_id).astype(np.float64)
        proba = np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True))
        return Articles(ids, proba, self.tokenizer)


def false_alarms(articles, rng, file=2000, stream=1500):
    "Alarms among splits of articles of one kind"
    out = []
    for size in SIZES:
        files = streams = 0
        for _ in range(SPLITS):
            order = rng.permutation(len(articles))
            reference, new = articles.reference(order[:size]), order[size:]
            here = articles.features(reference, new[:file])
            files += compare_rows(reference.rows, here).alarm
            watch = ShiftWatch(reference)
            streams += watch.add(*articles.take(new[:stream])) is not None
        out.append(dict(calibration=size, splits=SPLITS, files=files, streams=streams))
        print(out[-1], flush=True)
    return out


def found_in(plain, rng, other=None, rows_of=None):
    "Streams of other articles, or of some of the same, in which there is an alarm, and when"
    out = []
    for size in SIZES:
        at, names = [], {}
        for k in range(STREAMS):
            order = rng.permutation(len(plain))
            watch, rest = ShiftWatch(plain.reference(order[:size])), order[size:]
            if rows_of:
                rest = rest[rows_of(k)[rest]]
            source, rows = (plain, rest) if other is None else (other, rng.permutation(len(other)))
            found = watch.add(*source.take(rows[:ROWS]))
            if found:
                at.append(found.of)
                for d in found.differences:
                    names[d.what] = names.get(d.what, 0) + 1
        rows = [int(x) for x in (np.median(at), max(at))] if at else [None, None]
        out.append(dict(calibration=size, streams=STREAMS, found=len(at), median=rows[0],
                        slowest=rows[1], named=names))
        print(out[-1], flush=True)
    return out


def late_fall(plain, other, rng, before=2000, size=300):
    "Rows after a late fall until the alarm"
    after, early = [], 0
    for _ in range(STREAMS):
        order = rng.permutation(len(plain))
        watch = ShiftWatch(plain.reference(order[:size]))
        early += watch.add(*plain.take(order[size : size + before])) is not None
        begun = watch.rows
        found = watch.add(*other.take(rng.permutation(len(other))[: 2 * ROWS]))
        after.append(found.of - begun if found and found.of > begun else None)
    return dict(calibration=size, before=before, early=early, after=after)


def each_number(plain, other, rng, times=100, new=ROWS):
    "The joint test of the sketch, and tests of each of its numbers, at 1%"
    out = []
    for size in (48, 300):
        joint = single = 0
        for _ in range(times):
            reference = plain.reference(rng.permutation(len(plain))[:size])
            here = other.features(reference, rng.permutation(len(other))[:new])
            shift = compare_rows(reference.rows, here)
            joint += any(d.what == "words" for d in shift.differences)
            sketches = (r.sums / np.maximum(r.tokens, 1)[:, None] for r in (reference.rows, here))
            single += ttest_ind(*sketches).pvalue.min() * 16 <= LEVEL / 5
        out.append(dict(calibration=size, times=times, joint=joint, single=int(single)))
    return out


def fixed_martingale(plain, rng, size=48, times=SPLITS):
    "False alarms of a conformal test martingale on confidence, with calibration rows that stay"
    alarms, bets = 0, np.linspace(0.05, 1, 20)
    for _ in range(times):
        order = rng.permutation(len(plain))
        reference = plain.reference(order[:size])
        here = plain.features(reference, order[size : size + ROWS]).sure
        above = (reference.rows.sure[None] > here[:, None]).sum(1)
        p = (above + rng.random(ROWS)) / (size + 1)
        logs = np.log(bets)[:, None] + (bets[:, None] - 1) * np.log(p)
        alarms += np.exp(logs.cumsum(1)).mean(0).max() >= 1 / LEVEL
    return dict(calibration=size, rows=ROWS, times=times, alarms=int(alarms))


def main():
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("run")
    ask.add_argument("data")
    ask.add_argument("--keep", default="shift", help="folder for what the run has said")
    args = ask.parse_args()
    keep, rng = Path(args.keep), np.random.default_rng(1122)
    keep.mkdir(parents=True, exist_ok=True)
    clf = Predictor(args.run, precision="float32")
    rows, more = (read_rows(args.data, f"{part}.csv", clf.clean) for part in ("test", "train"))
    ids, proba = tested(clf, args.run, rows)
    order = rng.permutation(len(rows))
    own, last = order[:TITLES], order[TITLES:]
    plain = Articles([ids[i] for i in own], proba[own], clf.tokenizer)
    titled = by_run(clf, sorted({rows[i][0] for i in last}), keep, "titles")
    spanish = by_run(clf, spanish_sentences(), keep, "spanish")
    labels = np.array([rows[i][2] for i in own])
    upper = clf.encode([rows[i][1].upper() for i in own])
    same = sum(list(a[0]) == list(b) for a, b in zip(upper, plain.ids, strict=True))
    more = [more[i] for i in rng.permutation(len(more))]

    told = dict(level=LEVEL, rows=len(plain), titles=len(titled), spanish=len(spanish))
    told["upper_same_tokens"] = same / len(plain)
    told["false"] = false_alarms(plain, rng)
    kinds = told["found"] = {}
    kinds["titles"] = found_in(plain, rng, titled)
    kinds["Spanish sentences"] = found_in(plain, rng, spanish)
    kinds["one class"] = found_in(plain, rng, rows_of=lambda k: labels == k % 4)

    apart = [[row for row in more if (AGENCY in row[1]) == has] for has in (False, True)]
    linear = Linear(load_tokenizer(minilm_folder(), 256), apart[0][:FITTED])
    others = linear.read([row[1] for row in apart[0][FITTED:][:5000]])
    agency = linear.read([row[1] for row in apart[1][:3000]])
    kinds["an agency"] = found_in(others, rng, agency)

    cased = Linear(cased_tokenizer([row[1] for row in more[:FITTED]]), more[:FITTED])
    texts = [row[1] for row in more[FITTED : FITTED + 5000]]
    lower, loud = cased.read(texts), cased.read([text.upper() for text in texts])
    kinds["upper case, cased"] = found_in(lower, rng, loud)
    kinds["upper case, uncased"] = found_in(plain, rng) # the same tokens
    told["late"] = late_fall(plain, titled, rng)
    told["tried"] = dict(each_number=each_number(others, agency, rng),
                         martingale=fixed_martingale(plain, rng))
    command = "python nbs/explanations/measure_shift.py RUN ag_news_csv --keep shift"
    (HERE / "figures/shift.json").write_text(
        json.dumps(told | dict(seed=1122, **circumstances(command)), indent=1) + "\n")


if __name__ == "__main__":
    main()
