"""Model folders made to harm, each tried in a process of its own, and single bits flipped all over a saved classifier. JSON for the results page.

    python nbs/explanations/measure_models.py > nbs/explanations/figures/models.json

Page model runs the same folders and a few of the flips as a test.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from newsclf.core.config import UserError
from newsclf.core.storage import SEAL, seal_folder, sealed_json
from newsclf.model.classifier import new_classifier
from newsclf.model.saved import load_classifier, random_base, save_classifier
from newsclf.model.tokenizers import load_tokenizer
from newsclf.model.weights import INDEX, WEIGHTS, minilm_folder

NAMES = ["World", "Sports", "Business", "Sci/Tech"]


def edit(path, **values):
    "Set values in a JSON file"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def config(**values):
    return lambda f: edit(f / "config.json", **values)


def names(second):
    return dict(
        id2label=dict(enumerate(["World", second, *NAMES[2:]])),
        label2id={n: i for i, n in enumerate(["World", second, *NAMES[2:]])},
    )


def text(name, content):
    return lambda f: (f / name).write_text(content)


def link(name, end):
    return lambda f: ((f / name).unlink(missing_ok=True), (f / name).symlink_to(end))


def fifo(name):
    return lambda f: ((f / name).unlink(), os.mkfifo(f / name))


def in_place_of(name):
    return lambda f: ((f / name).unlink(), (f / name).mkdir())


def hole(name, size):
    return lambda f: os.truncate(f / name, size)


def tensors(change):
    "Let `change` alter the tensors"

    def spoil(f):
        state = load_file(f / WEIGHTS)
        change(state, next(n for n in state if n.endswith("layer.0.output.dense.bias")))
        save_file(state, f / WEIGHTS)

    return spoil


def numbers(value):
    def change(state, name):
        state[name][7] = value

    return tensors(change)


def header(change=lambda h: None, length=None, pad=0):
    "Rewrite the header of the weights, tensors as they are"

    def spoil(f):
        data = (f / WEIGHTS).read_bytes()
        size = int.from_bytes(data[:8], "little")
        head = json.loads(data[8 : 8 + size])
        change(head)
        raw = json.dumps(head).encode() + b" " * pad
        (f / WEIGHTS).write_bytes(
            (length or len(raw)).to_bytes(8, "little") + raw + data[8 + size :]
        )

    return spoil


def offsets(begin, end):
    def change(head):
        head[next(n for n in head if n.endswith("output.dense.bias"))]["data_offsets"] = [
            begin,
            end,
        ]

    return header(change)


def terabytes(f):
    "An embedding of four terabytes, nearly all of it a hole in the file, on which header and configuration agree"
    rows, (name, *_) = (
        2**35,
        [n for n in load_file(f / WEIGHTS) if n.endswith("word_embeddings.weight")],
    )
    raw = json.dumps(
        {name: dict(dtype="F32", shape=[rows, 32], data_offsets=[0, rows * 128])}
    ).encode()
    with open(f / WEIGHTS, "wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
    os.truncate(f / WEIGHTS, 8 + len(raw) + rows * 128)
    edit(f / "config.json", vocab_size=rows)


def shards(*listed):
    "Weights in two files, and an index that lists others"

    def spoil(f):
        state = load_file(f / WEIGHTS)
        half = len(state) // 2
        for i in range(2):
            save_file(
                dict(list(state.items())[i * half :] if i else list(state.items())[:half]),
                f / f"model-0000{i + 1}-of-00002.safetensors",
            )
        (f / INDEX).write_text(
            json.dumps(dict(weight_map={n: listed[i % len(listed)] for i, n in enumerate(state)}))
        )
        (f / WEIGHTS).unlink()

    return spoil


def pickled(f):
    return (
        f"cbuiltins\nexec\n(S\"open({str(f.parent / 'ran')!r}, 'w')\"\ntR.".encode()
    ) # run by whoever unpickles it


def code(f):
    return f"open({str(f.parent / 'ran')!r}, 'w')\n"


def evil(f):
    "Classes of the folder's own, and their code"
    (f / "modeling_evil.py").write_text(code(f))
    edit(
        f / "config.json",
        auto_map={
            "AutoConfig": "modeling_evil.Config",
            "AutoModelForSequenceClassification": "modeling_evil.Model",
        },
    )


def evil_type(f):
    evil(f)
    edit(f / "config.json", model_type="evil")


def pickle_as(name):
    return lambda f: (f / name).write_bytes(pickled(f))


def deep_tokenizer(f):
    (f / "tokenizer.json").write_text('{"normalizer": ' + "[" * 10**6)


def far_token(f):
    (f / "tokenizer.json").write_text(
        (f / "tokenizer.json")
        .read_text()
        .replace('"[MASK]": 103', '"[MASK]": 99999')
        .replace('"[MASK]":103', '"[MASK]":99999')
    )


def snapshot(end):
    "A snapshot of the hub's cache whose weights are a link to `end`"

    def spoil(f):
        home = f / "models--news-desk--tiny"
        (home / "snapshots" / "main").mkdir(parents=True)
        (home / "blobs").mkdir()
        for p in [p for p in f.iterdir() if p.is_file()]:
            shutil.move(p, home / "blobs" / p.name)
            (home / "snapshots" / "main" / p.name).symlink_to(f"../../blobs/{p.name}")
        other = f / "models--else" / "blobs"
        other.mkdir(parents=True)
        shutil.copy(home / "blobs" / WEIGHTS, other / WEIGHTS)
        (home / "snapshots" / "main" / WEIGHTS).unlink()
        (home / "snapshots" / "main" / WEIGHTS).symlink_to(end)
        return home / "snapshots" / "main"

    return spoil


def many(f):
    [(f / f"{i}.json").touch() for i in range(2000)]


def false_list(files):
    return lambda f: (f / SEAL).write_text(
        sealed_json(dict(newsclf="files", format=1, files=files))
    )


def deep_list(f):
    (f / SEAL).write_text('{"files": ' * 10**5)


def pop(name):
    return lambda f: (f / name).unlink()


def drop(state, name):
    del state[name]


def add(state, name):
    state["bert.encoder.layer.9.spare"] = torch.zeros(3)


def turn(state, name):
    state[name] = torch.zeros(33)


def whole(state, name):
    state[name] = torch.zeros(32, dtype=torch.int64)


def eighth(state, name):
    state[name] = torch.zeros(32).to(torch.float8_e4m3fn)


def none(state, name):
    state[name] = torch.zeros(0)


def wide(state, name):
    state["\x1b[2J" * 1000] = torch.zeros(3)


ANY = { # what either door refuses
    "weights: an empty file": hole(WEIGHTS, 0),
    "weights: four bytes": hole(WEIGHTS, 4),
    "weights: cut short": hole(WEIGHTS, 3_000_000),
    "weights: a hole behind the last tensor": hole(WEIGHTS, 5_000_000),
    "weights: header of 2^60 bytes announced": header(length=2**60),
    "weights: header of 5 MB": header(pad=5_000_000),
    "weights: header nested a million deep": lambda f: (f / WEIGHTS).write_bytes(
        (10**6).to_bytes(8, "little") + b"[" * 10**6
    ),
    "weights: tensors overlap": offsets(0, 128),
    "weights: a tensor beyond the end of the file": offsets(2**40, 2**40 + 128),
    "weights: a tensor that ends before it begins": offsets(128, 0),
    "weights: sizes whose product overflows": header(
        lambda h: next(v for k, v in h.items() if k != "__metadata__").update(shape=[2**40, 2**40])
    ),
    "weights: four terabytes that the configuration agrees with": terabytes,
    "weights: a pickle by this name": pickle_as(WEIGHTS),
    "weights: a folder by this name": in_place_of(WEIGHTS),
    "weights: a pipe by this name": fifo(WEIGHTS),
    "weights: a link to /dev/zero": link(WEIGHTS, "/dev/zero"),
    "weights: an index that leads out of the folder": shards(
        "../model.safetensors", "model-00001-of-00002.safetensors"
    ),
    "weights: an index that lists a file that is not there": shards(
        "model-00001-of-00002.safetensors", "model-00003-of-00002.safetensors"
    ),
    "weights: an index that forgets a file": shards("model-00001-of-00002.safetensors"),
    "weights: an index of numbers": shards(1, 2),
    "tensors: one NaN": numbers(float("nan")),
    "tensors: one infinity": numbers(float("inf")),
    "tensors: one missing": tensors(drop),
    "tensors: one too many": tensors(add),
    "tensors: one of another shape": tensors(turn),
    "tensors: one of integers": tensors(whole),
    "tensors: one of eight bits": tensors(eighth),
    "tensors: one of no number": tensors(none),
    "tensors: a name that clears the screen": tensors(wide),
    "config.json: 100 MB": lambda f: (f / "config.json").write_text(
        "[" + "{}," * 33_000_000 + "{}]"
    ),
    "config.json: 1 MB of empty lists": lambda f: (f / "config.json").write_text(
        '{"a": [' + "[]," * 349_000 + "[]]}"
    ),
    "config.json: 49,000 empty lists": lambda f: (f / "config.json").write_text(
        '{"a": [' + "[]," * 49_000 + "[]]}"
    ),
    "config.json: nested 20,000 deep": text("config.json", '{"a": ' * 20_000),
    "config.json: a list": text("config.json", "[]"),
    "config.json: an empty file": text("config.json", ""),
    "config.json: no UTF-8": lambda f: (f / "config.json").write_bytes(
        b'{"model_type": "b\xffrt"}'
    ),
    "config.json: a name twice": lambda f: (f / "config.json").write_text(
        (f / "config.json").read_text().replace("{", '{"hidden_size": 99,', 1)
    ),
    "config.json: NaN": config(layer_norm_eps=float("nan")),
    "config.json: a float without end": lambda f: (f / "config.json").write_text(
        (f / "config.json").read_text().replace("{", '{"spare": 1e999,', 1)
    ),
    "config.json: a pipe by this name": fifo("config.json"),
    "config.json: a link to /dev/zero": link("config.json", "/dev/zero"),
    "config.json: a folder by this name": in_place_of("config.json"),
    "config.json: a link to itself": link("config.json", "config.json"),
    "config.json: a kind of model that the folder brings itself": evil_type,
    "config.json: a kind that is a list": config(model_type=["bert"]),
    "config.json: a kind that sees pictures": config(model_type="vit"),
    "config.json: a list of no names": config(architectures=[1]),
    "config.json: a billion layers": config(num_hidden_layers=10**9),
    "config.json: 60,000 layers": config(num_hidden_layers=60_000),
    "config.json: minus one layer": config(num_hidden_layers=-1),
    "config.json: states of 30,000 numbers": config(hidden_size=30_000, num_attention_heads=1),
    "config.json: 60,000 positions": config(max_position_embeddings=60_000),
    "config.json: a size that is text": config(hidden_size="32"),
    "config.json: a size that is a fraction": config(hidden_size=32.5),
    "config.json: no heads": config(num_attention_heads=0),
    "config.json: heads that do not divide": config(num_attention_heads=5),
    "config.json: an activation that does not exist": config(hidden_act="os.system"),
    "config.json: a billion classes": config(num_labels=10**9, id2label=None),
    "config.json: another family, its table of sines to be computed": config(
        model_type="distilbert",
        sinusoidal_pos_embds=True,
        max_position_embeddings=60_000,
        dim=30_000,
    ),
    "tokenizer: missing": pop("tokenizer.json"),
    "tokenizer: an empty file": text("tokenizer.json", ""),
    "tokenizer: nested a million deep": deep_tokenizer,
    "tokenizer: 100 MB": hole("tokenizer.json", 100_000_000),
    "tokenizer: a token that the model has no row for": far_token,
    "tokenizer: a billion tokens to be made up": lambda f: edit(
        f / "tokenizer_config.json", extra_ids=10**9, tokenizer_class="T5Tokenizer"
    ),
    "tokenizer: of a kind that calls programs": lambda f: edit(
        f / "tokenizer_config.json", tokenizer_class="BertJapaneseTokenizer"
    ),
    "tokenizer: settings that are a list": text("tokenizer_config.json", "[]"),
    "tokenizer: a limit that is text": lambda f: edit(
        f / "tokenizer_config.json", model_max_length="long"
    ),
    "tokenizer: no padding token": lambda f: edit(f / "tokenizer_config.json", pad_token=None),
    "tokenizer: a link to /dev/zero": link("tokenizer.json", "/dev/zero"),
}

SAVED = { # what the door for saved classifiers refuses beside
    "folder: a pickle beside the weights": pickle_as("pytorch_model.bin"),
    "folder: training arguments in a pickle": pickle_as("training_args.bin"),
    "folder: code and classes of its own": evil,
    "folder: a library": lambda f: (f / "tokenizer.so").write_bytes(b"\x7fELF"),
    "folder: code in a folder": lambda f: (
        (f / "model-x").mkdir(),
        (f / "model-x" / "y.safetensors").write_text(code(f)),
    ),
    "folder: a file that nobody reads": text("notes.json", "{}"),
    "folder: a file whose name clears the screen": lambda f: (
        f / "model-\x1b[2J.safetensors"
    ).touch(),
    "folder: a link to a folder": link("weights", ".."),
    "labels: a list": config(id2label=NAMES),
    "labels: text": config(id2label="World"),
    "labels: a gap": config(id2label={"0": "World", "2": "Sports"}),
    "labels: one name twice": config(**names("World")),
    "labels: no name": config(**names(" ")),
    "labels: half a character": config(**names("\ud800")),
    "labels: number and name disagree": config(
        label2id={"World": 1, "Sports": 0, "Business": 2, "Sci/Tech": 3}
    ),
    "labels: fewer than the weights have": config(
        id2label={"0": "World", "1": "Sports"}, label2id={"World": 0, "Sports": 1}
    ),
    "labels: several may hold at once": config(problem_type="multi_label_classification"),
    "config.json: our own notes are a list": config(newsclf=[]),
}

LISTS = { # beside the list of files, which is not made anew here
    "folder: 2,000 files": many,
    "files.json: gone": pop(SEAL),
    "files.json: one bit of the weights": lambda f: flip(f / WEIGHTS, 12_345_678),
    "files.json: entries that are numbers": false_list({"config.json": 5}),
    "files.json: a list of names": false_list({}),
    "files.json: nested 100,000 deep": deep_list,
    "files.json: a terabyte": hole(SEAL, 2**40),
    "files.json: a pipe by this name": fifo(SEAL),
    "files.json: a folder by this name": in_place_of(SEAL),
}

BASE = { # what the door for base models refuses beside
    "folder: weights in a pickle only": lambda f: (
        pop(WEIGHTS)(f),
        pickle_as("pytorch_model.bin")(f),
    ),
    "snapshot: a link out of the cache": snapshot("/etc/hostname"),
    "snapshot: a link into another model's store": snapshot(
        "../../../models--else/blobs/" + WEIGHTS
    ),
    "snapshot: a link to nowhere": snapshot("../../blobs/gone"),
}

CASES = [
    (door, name)
    for door, tables in (("saved", (ANY, SAVED, LISTS)), ("base", (ANY, BASE)))
    for table in tables
    for name in table
]


def make_good(folder, tokenizer=None):
    "A small base model and a classifier made of it, in `folder`"
    tokenizer = tokenizer or load_tokenizer(minilm_folder())
    base = random_base(
        folder / "base",
        tokenizer,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    save_classifier(
        new_classifier(base, NAMES, say=lambda line: None), tokenizer, folder / "saved"
    )


def make_hostile(door, name, folder):
    "Spoil a copy of `folder/door`; a saved classifier gets a new list of files, as whoever means harm would write"
    there = folder / "spoilt"
    shutil.rmtree(there, ignore_errors=True)
    shutil.copytree(folder / door, there)
    found = (ANY | SAVED | LISTS | BASE)[name](there)
    if door == "base" or name in LISTS:
        return found if name in BASE and name.startswith("snapshot") else there
    (there / SEAL).unlink()
    if any(not p.is_file() or p.is_symlink() or p.stat().st_size > 2**30 for p in there.iterdir()):
        return there
    seal_folder(there)
    return there


def open_door(door, folder):
    "What a user of the folder would call"
    if door == "saved":
        return load_classifier(folder)
    load_tokenizer(folder)
    return new_classifier(folder, NAMES, say=lambda line: None)


def refusal(door, folder):
    "What is said, without the folder's name; None where nothing is wrong"
    try:
        open_door(door, folder)
    except UserError as e:
        return str(e).replace(str(folder), "…")


def flip(path, bit):
    "Turn one bit of a file"
    with open(path, "r+b") as f:
        f.seek(bit // 8)
        byte = f.read(1)[0]
        f.seek(bit // 8)
        f.write(bytes([byte ^ 1 << bit % 8]))


def believed_flips(saved, flips, seed=1122):
    "Of single bits drawn from all bytes of a folder, those whose flip goes unnoticed"
    dice, files = random.Random(seed), sorted(saved.iterdir())
    for path in dice.choices(files, [f.stat().st_size for f in files], k=flips):
        bit = dice.randrange(8 * path.stat().st_size)
        flip(path, bit)
        try:
            if not refusal("saved", saved):
                yield path.name, bit
        finally:
            flip(path, bit)


def memory(what):
    "VmRSS or VmHWM of this process in MB"
    return next(
        int(line.split()[1]) / 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith(what)
    )


def measure(door, name, folder):
    "Seconds and megabytes that one hostile folder costs in this process, after both doors have been used once"
    for good in ("saved", "base"):
        open_door(good, folder / good)
    there = make_hostile(door, name, folder)
    Path("/proc/self/clear_refs").write_text("5") # the peak begins anew
    before, start = memory("VmRSS"), time.perf_counter()
    said = refusal(door, there)
    return dict(
        said=said,
        seconds=round(time.perf_counter() - start, 3),
        megabytes=round(memory("VmHWM") - before, 1),
    )


def in_child(*work):
    "What `work` gives in a process of its own, which begins where the imports ended; None if it died or took two minutes"
    reader, writer = os.pipe()
    if not os.fork():
        signal.alarm(120)
        os.write(writer, json.dumps(work[0](*work[1:])).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as f:
        said = f.read()
    os.wait()
    return json.loads(said) if said else None


def main():
    from newsclf.core.provenance import circumstances

    torch.set_num_threads(1) # threads do not outlive a fork
    found = []
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        in_child(make_good, tmp)
        for door, name in CASES:
            found.append(
                dict(door=door, name=name)
                | (
                    in_child(measure, door, name, tmp)
                    or dict(failed="died, or took over two minutes")
                )
            )
            print(found[-1], file=sys.stderr)
        ran = (tmp / "ran").exists()
        base = minilm_folder()
        save_classifier(
            new_classifier(base, NAMES, say=lambda line: None),
            load_tokenizer(base),
            tmp / "minilm",
        )
        start = time.perf_counter()
        accepted, believed = (
            refusal("saved", tmp / "minilm") is None,
            list(believed_flips(tmp / "minilm", 1000)),
        )
        flips = dict(
            flips=1000,
            bytes=sum(p.stat().st_size for p in (tmp / "minilm").iterdir()),
            accepted_before=accepted,
            accepted_after=refusal("saved", tmp / "minilm") is None,
            believed=believed,
            seconds=round(time.perf_counter() - start),
        )
    refused = [f for f in found if f.get("said")]
    print(
        json.dumps(
            dict(
                folders=len(found),
                refused=len(refused),
                code_ran=ran,
                most_seconds=max(f["seconds"] for f in refused),
                most_megabytes=max(f["megabytes"] for f in refused),
                cases=found,
                flips=flips,
                seed=1122,
            )
            | circumstances("python nbs/explanations/measure_models.py"),
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
