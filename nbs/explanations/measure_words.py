"""Do the words that explain a label count? Occlusion, gradient x input and attention on articles of a test file: without its three top words, does the label fall further than without three random ones? JSON without any text, for the results page.

python nbs/explanations/measure_words.py runs/ag-news ag_news_csv > nbs/explanations/figures/words.json
"""

import argparse
import json
import time
from itertools import islice
from pathlib import Path

import numpy as np

from newsclf.core.config import UserError
from newsclf.core.provenance import circumstances
from newsclf.core.storage import file_digest
from newsclf.data.cleaning import clean_text
from newsclf.data.records import read_texts
from newsclf.data.sources import find_parts
from newsclf.data.tokens import shorten
from newsclf.evaluate.intervals import share_interval
from newsclf.predict.explain import (
    ask_without,
    beats_random,
    joint_falls,
    log_odds,
    occlude,
    words_of,
)
from newsclf.predict.predictor import Predictor

ap = argparse.ArgumentParser()
ap.add_argument("run", help="a run folder or a saved classifier")
ap.add_argument("data", help="'sample' or a folder with a test file")
ap.add_argument("--rows", type=int, default=200)
ap.add_argument("--seed", type=int, default=1122)
ap.add_argument("--device", default="auto")
a = ap.parse_args()

TOP, DRAWS = 3, 10
predictor = Predictor(a.run, a.device, "float32")
model, tokenizer = predictor.model, predictor.tokenizer


def read_tokens(text):
    "A text as the model reads it: its tokens, and where each stands in the text, (0, 0) for those of no character"
    whole = tokenizer(text, return_offsets_mapping=True, truncation=False, verbose=False)
    kept = shorten(
        list(range(len(whole["input_ids"]))), tokenizer.model_max_length, predictor.truncation
    )
    xb = tokenizer.pad(
        dict(input_ids=[[whole["input_ids"][i] for i in kept]]), return_tensors="pt"
    ).to(model.device)
    return xb, [whole["offset_mapping"][i] for i in kept]


def gradient_by_input(text):
    "For each token, the gradient of the label's logit by the token's embedding, times the embedding"
    xb, offsets = read_tokens(text)
    kept = []
    hook = model.get_input_embeddings().register_forward_hook(
        lambda module, given, out: (out.retain_grad(), kept.append(out))[1]
    )
    try:
        model(**xb).logits.max().backward()
    finally:
        hook.remove()
    model.zero_grad()
    return (kept[0].grad * kept[0]).sum(-1)[0].tolist(), offsets


def attention(text):
    "For each token, the attention that [CLS] pays it in the last layer, mean of the heads"
    import torch

    xb, offsets = read_tokens(text)
    was = model.config._attn_implementation
    model.set_attn_implementation("eager") # the others do not say where they look
    try:
        with torch.inference_mode():
            seen = model(**xb, output_attentions=True).attentions[-1]
    finally:
        model.set_attn_implementation(was)
    return seen.mean(1)[0, 0].tolist(), offsets


def by_tokens(values, text, words):
    "The words of a text, that of the greatest sum over its tokens first"
    values, offsets = values(text)

    def total(places):
        return sum(
            v
            for v, (s, e) in zip(values, offsets, strict=False)
            if e > s and any(s < end and e > start for start, end in places)
        )

    return sorted(words, key=total, reverse=True)


def occlude_places(texts):
    "Occlusion that leaves out each place by itself, though the word may stand elsewhere too"
    spans = [words_of(t) for t in texts]
    proba = ask_without(
        predictor.predict_proba,
        [
            (t, some)
            for t, places in zip(texts, spans, strict=True)
            for some in ([], *([p] for p in places))
        ],
    )
    rankings, at = [], 0
    for places in spans:
        one = proba[at : at + 1 + len(places)]
        odds = log_odds(one, np.full(len(one), one[0].argmax()))
        rankings.append([[places[i]] for i in np.argsort(odds[1:], kind="stable")])
        at += len(one)
    return rankings


def timed(f, *args):
    start = time.perf_counter()
    out = f(*args)
    return out, (time.perf_counter() - start) / len(texts)


def figures(rankings, seconds):
    falls = joint_falls(predictor.predict_proba, texts, rankings, TOP, DRAWS, a.seed)
    passed = round(len(texts) * beats_random(falls))
    return dict(
        passed=passed,
        share=round(passed / len(texts), 4),
        interval_95=[round(x, 4) for x in share_interval(passed, len(texts))],
        mean_fall=round(float(falls[:, 0].mean()), 4),
        mean_fall_of_random=round(float(falls[:, 1:].mean()), 4),
        seconds_an_article=round(seconds, 4),
    )


def fits(text):
    return (
        len({text[s:e].casefold() for s, e in words_of(text)}) > TOP
        and len(read_tokens(text)[1]) < tokenizer.model_max_length
    )


parts, _ = find_parts(a.data)
if "test" not in parts:
    raise UserError("no test file", "test.csv or another table called test", a.data)
every = [clean_text(t, predictor.clean) for t in read_texts(str(parts["test"]))]
order = [every[i] for i in np.random.default_rng(a.seed).permutation(len(every))]
drawn = list(islice(((i, t) for i, t in enumerate(order) if fits(t)), a.rows))
texts = [t for _, t in drawn]
predictor.predict_proba(texts[:8]) # the first call of a process is slow
found, seconds = timed(occlude, predictor.predict_proba, texts)
words = [[w.places for w in ws] for ws in found]
methods = {
    "occlusion": figures(words, seconds),
    "occlusion, each place by itself": figures(*timed(occlude_places, texts)),
}
for name, values in {
    "gradient x input": gradient_by_input,
    "attention of [CLS]": attention,
}.items():
    methods[name] = figures(
        *timed(lambda: [by_tokens(values, t, ws) for t, ws in zip(texts, words, strict=True)])
    )
dice = np.random.default_rng(a.seed)
methods["random order"] = figures([[ws[i] for i in dice.permutation(len(ws))] for ws in words], 0)
alone = []
for t in texts[:20]:
    start = time.perf_counter()
    predictor.explain([t])
    alone.append(time.perf_counter() - start)
proba = predictor.predict_proba(texts).max(1)
print(
    json.dumps(
        dict(
            articles=len(texts),
            passed_over=drawn[-1][0] + 1 - len(drawn),
            words_an_article=round(float(np.mean([len(ws) for ws in words])), 1),
            top=TOP,
            draws=DRAWS,
            seed=a.seed,
            mean_probability=round(float(proba.mean()), 4),
            methods=methods,
            explain_one_seconds_median=round(float(np.median(alone)), 4),
            device=[predictor.device, predictor.reason],
            digests={
                p.name: file_digest(p)
                for p in (parts["test"], predictor.folder / "model.safetensors")
            },
        )
        | circumstances(
            f"python nbs/explanations/measure_words.py {Path(a.run).name} {Path(a.data).name} --rows {a.rows}"
        ),
        indent=1,
    )
)
