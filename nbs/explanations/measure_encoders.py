"""Ten kinds of encoders, small and with random weights, from training to export and resuming. A table on the screen, JSON in a file.

    python nbs/explanations/measure_encoders.py nbs/explanations/figures/encoders.json
    python nbs/explanations/measure_encoders.py some.json roberta eurobert   # only these

Each is trained on the bundled sample with a tokenizer of its own kind, made of the sample's texts. What is recorded:
its accuracy; the largest difference of a probability after reloading, and from `transformers.pipeline`; words that an
explanation names; for each export that this machine can make whether it passed the gate, and labels of the test that
it changes; and whether a run that was stopped by a signal and resumed ends with the same bits.
"""

import argparse
import json
import os
import shutil
import signal
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from newsclf.core.config import Stopped, make_config
from newsclf.core.provenance import Clock, circumstances
from newsclf.data.tokens import encode_texts
from newsclf.model.folders import quiet_loading
from newsclf.predict.pipeline import compare_with_pipeline
from newsclf.predict.predictor import Predictor
from newsclf.run.course import save_trained, train_run
from newsclf.run.dataset import load_rows
from newsclf.run.export import GateRows, make_export, possible_exports
from newsclf.run.gate import faults_of
from newsclf.run.steps import prepare

SEED = 1122
TRAINING = dict(
    max_length=64, epochs=4.0, learning_rate=1e-3, device="cpu", precision="float32", seed=SEED
)
SIZES = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128)
SQUARE = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ANGLE = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
DEBERTA = dict(
    relative_attention=True,
    pos_att_type=["p2c", "c2p"],
    position_biased_input=False,
    position_buckets=32,
    norm_rel_ebd="layer_norm",
    share_att_key=True,
    type_vocab_size=0,
)
ROPE = dict(rope_type="default", rope_theta=250_000)
KINDS = { # name: (tokenizer, sizes and settings)
    "bert": ("pieces", SIZES),
    "roberta": ("bytes", SIZES | dict(max_position_embeddings=66)),
    "xlm-roberta": ("unigram", SIZES | dict(max_position_embeddings=66)),
    "distilbert": ("pieces", dict(dim=64, n_layers=2, n_heads=4, hidden_dim=128)),
    "deberta-v2": ("deberta", SIZES | DEBERTA),
    "mpnet": ("mpnet", SIZES | dict(max_position_embeddings=66)),
    "modernbert": ("plain", SIZES | dict(local_attention=16, global_attn_every_n_layers=2)),
    "electra": ("pieces", SIZES | dict(embedding_size=32)),
    "albert": ("albert", SIZES | dict(embedding_size=32)),
    "eurobert": ("plain", SIZES | dict(num_key_value_heads=2, rope_parameters=ROPE)),
}


def learned(model, trainer, split, texts):
    "Vocabulary of a small tokenizer"
    made = Tokenizer(model)
    made.pre_tokenizer = split
    made.train_from_iterator(texts, trainer)
    return made, json.loads(made.to_str())["model"]


def small_trainer(kind, special, **how):
    return kind(vocab_size=1500, special_tokens=special, show_progress=False, **how)


def pieces(texts, special, **how):
    "WordPiece, of BERT and its relatives"
    split = pre_tokenizers.BertPreTokenizer()
    trainer = small_trainer(trainers.WordPieceTrainer, special)
    unknown = next(s for s in special if "unk" in s.lower())
    lower = [t.lower() for t in texts]
    return learned(models.WordPiece(unk_token=unknown), trainer, split, lower)[1]["vocab"]


def unigram(texts, special):
    "The tokenizer of SentencePiece, as a list of pieces and scores"
    unknown = next(s for s in special if "unk" in s.lower())
    trainer = small_trainer(trainers.UnigramTrainer, special, unk_token=unknown)
    found = learned(models.Unigram(), trainer, pre_tokenizers.Metaspace(), texts)[1]["vocab"]
    return [(piece, score) for piece, score in found]


def byte_pairs(texts, special):
    "Pairs of bytes"
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = small_trainer(trainers.BpeTrainer, special, initial_alphabet=alphabet)
    return learned(models.BPE(), trainer, split, texts)


def plain(texts):
    "A tokenizer without a class of its own, as ModernBERT and EuroBERT have it"
    made, _ = byte_pairs(texts, SQUARE)
    ends = [(s, SQUARE.index(s)) for s in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
    roles = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    names = dict(zip(roles, SQUARE, strict=True))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names)


def make_tokenizer(kind, texts):
    "A small tokenizer of a kind"
    if kind == "pieces":
        return transformers.BertTokenizer(vocab=pieces(texts, SQUARE))
    if kind == "mpnet":
        return transformers.MPNetTokenizer(vocab=pieces(texts, [*ANGLE, "[UNK]"]))
    if kind == "bytes":
        found = byte_pairs(texts, ANGLE)[1]
        merges = [tuple(m) for m in found["merges"]]
        return transformers.RobertaTokenizer(vocab=found["vocab"], merges=merges)
    if kind == "unigram":
        return transformers.XLMRobertaTokenizer(vocab=unigram(texts, ANGLE))
    if kind == "deberta":
        return transformers.DebertaV2Tokenizer(vocab=unigram(texts, SQUARE))
    if kind == "albert":
        special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
        return transformers.AlbertTokenizer(vocab=unigram(texts, special))
    return plain(texts)


def make_base(name, texts, folder):
    "A base model of a family, with random weights"
    kind, sizes = KINDS[name]
    tokenizer = make_tokenizer(kind, texts)
    ids = dict(
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
    )
    settings = dict(vocab_size=len(tokenizer)) | ids | sizes
    config = transformers.AutoConfig.for_model(name, **settings)
    torch.manual_seed(SEED)
    with quiet_loading():
        transformers.AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def quiet(line):
    pass


def stopping():
    "A `say` that sends this process a signal at the third line of the history"
    seen = []

    def say(line):
        if "loss" in str(line):
            seen.append(line)
            if len(seen) == 3:
                os.kill(os.getpid(), signal.SIGTERM)

    return say


def trained(cfg, news, out, say=quiet, resume=False):
    "Train as a run does"
    out.mkdir(exist_ok=True)
    job = replace(prepare(cfg, news, quiet), out=out, say=say)
    train_run(job, Clock(), resume)
    return job


def stopped_and_resumed(cfg, news, out):
    "Train, stop by a signal, and train on in a model that is made anew"
    try:
        trained(cfg, news, out, stopping())
    except Stopped:
        return trained(cfg, news, out, resume=True)
    raise RuntimeError("the training was not stopped")


def same_bits(model, other):
    "Whether all tensors of two models are equal"
    ours, theirs = model.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(ours[n].equal(theirs[n]) for n in ours)


def gate_rows(news, tokenizer):
    "Rows to make and measure exports"
    def tokens(part, most):
        texts = news.parts[part]["text"][:most]
        return encode_texts(tokenizer, texts, tokenizer.model_max_length)[0]

    labels = news.parts["validation"]["label"][:]
    return GateRows(tokens("train", 300), tokens("validation", 4000), labels)


def export_of(saved, to, precision, rows, texts, labels):
    "Labels of the test that an export changes, or why the gate refuses it"
    out = saved.parent / f"{to}-{precision}"
    out.mkdir()
    found = make_export(out, saved, to, precision, rows)
    if faults := faults_of(found):
        return dict(passed=False, why=faults)
    clf = Predictor(out)
    changed = int((clf.predict_proba(texts).argmax(1) != labels).sum())
    return dict(passed=True, changed=changed, again=clf.again / clf.seen)


def course_of(name, news, folder):
    "All that is done with one encoder"
    start, test = time.perf_counter(), news.parts["test"]
    base = make_base(name, news.parts["train"]["text"][:], folder / "base")
    cfg = make_config(model=str(base), **TRAINING)
    whole = trained(cfg, news, folder / "whole")
    job = stopped_and_resumed(cfg, news, folder / "run")
    same = same_bits(whole.model, job.model)
    saved = save_trained(job, Clock())
    clf, texts = saved.predictor, test["text"][:]
    proba = clf.predict_proba(texts)
    labels = proba.argmax(1)
    theirs = compare_with_pipeline(clf, texts, proba)
    rows, place = gate_rows(news, clf.tokenizer), folder / "run" / "model"
    made = {
        f"{to}-{precision}": export_of(place, to, precision, rows, texts, labels)
        for to, precision in possible_exports()
    }
    return dict(
        parameters=sum(p.numel() for p in clf.model.parameters()),
        tokens=clf.tokenizer.model_max_length,
        accuracy=float((labels == np.asarray(test["label"][:])).mean()),
        reloaded=saved.gap,
        bfloat16=saved.half.logit_error if saved.half else None,
        pipeline=theirs.largest_difference,
        pipeline_labels=theirs.other_labels,
        words=sum(len(e.words) for e in clf.explain(texts[:4])),
        exports=made,
        resumed_same_bits=same,
        seconds=round(time.perf_counter() - start, 1),
    )


def as_line(name, row):
    "A row of the table"
    exports = ", ".join(
        f"{k} {v['changed']} changed" if v["passed"] else f"{k} refused"
        for k, v in row["exports"].items()
    )
    return (
        f"{name:<12} {row['accuracy']:>5.1%}  reloaded {row['reloaded']:.0e}  pipeline "
        f"{row['pipeline']:.0e} ({row['pipeline_labels']} labels)  {row['words']} words  "
        f"{exports}  resumed to the bit: {row['resumed_same_bits']}  {row['seconds']} s"
    )


def main(path, names):
    os.environ["NEWSCLF_STATE"] = tempfile.mkdtemp() # a test-set ledger of its own
    at, found = Path(tempfile.mkdtemp()), {}
    news = load_rows(make_config(**TRAINING), quiet)
    origin = circumstances("python nbs/explanations/measure_encoders.py FILE")
    for name in names:
        (at / name).mkdir()
        found[name] = course_of(name, news, at / name)
        print(as_line(name, found[name]), flush=True)
        told = dict(encoders=found, rows=len(news.parts["test"]), seed=SEED) | origin
        Path(path).write_text(json.dumps(told, indent=1) + "\n")
        shutil.rmtree(at / name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="a JSON file for what is found")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} [all]")
    given = parser.parse_args()
    main(given.file, given.kinds or list(KINDS))
