"""Crashes, on purpose. Each part prints JSON: what was done, and how often something was lost.

    python nbs/explanations/measure_crashes.py all > nbs/explanations/figures/crashes.json    # the whole campaign: an hour on two cores
    python nbs/explanations/measure_crashes.py saves        # a save that is killed, or fails, in each of its calls
    python nbs/explanations/measure_crashes.py ends         # what kills leave before a run's first mark is in place, and at its end; then begun again, or --resume
    python nbs/explanations/measure_crashes.py lost         # run.json empty, history.jsonl gone or empty; then --resume
    python nbs/explanations/measure_crashes.py kills 50     # kill -9 of `newsclf train` at random times, every third inside a save; then --resume
    python nbs/explanations/measure_crashes.py signals 20   # SIGTERM and SIGINT at random times; then --resume
    python nbs/explanations/measure_crashes.py damage       # each file of the newest checkpoint missing, empty, cut, one bit turned; then --resume
    python nbs/explanations/measure_crashes.py flips 100    # one random bit of the newest checkpoint turned; then --resume
    python nbs/explanations/measure_crashes.py same 5       # the same command twice, for some seeds, in float32 and in bfloat16
    python nbs/explanations/measure_crashes.py changed      # --resume with another setting
    python nbs/explanations/measure_crashes.py two 3        # two processes under `accelerate launch`, one of them killed
    python nbs/explanations/measure_crashes.py limits       # the disk full at many places of a save
    python nbs/explanations/measure_crashes.py cost         # what saving costs a real training of minilm
    python nbs/explanations/measure_crashes.py --small kills 2 # as many steps on a sixth of the rows, cut short: quicker, for tests

The trainings are of the bundled sample, with a BERT of 2 layers and random weights, but for the last part. Each is a process of its own, forked from one
that has everything imported, to save the seconds that importing takes; in the parts `same` and `two` each is started from nothing.
"""

import errno
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from unittest import mock

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
) # read when torch is loaded: processes that share cores must not wait by spinning

CALLS = [
    (os, "fsync"),
    (os, "replace"),
    (os, "rename"),
    (os, "mkdir"),
    (os, "rmdir"),
    (os, "unlink"),
    (Path, "write_text"),
    (Path, "rename"),
    (shutil, "rmtree"),
]


class Sabotage:
    "Within, call number `at` of those that change a disk does half its work, if it can be halved, and then kills the process or fails"

    def __init__(self, at, how, begun=lambda: True):
        self.at, self.how, self.begun, self.seen = at, how, begun, 0 # it counts once it has begun

    def fail(self, name):
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "serialize_file":
            from safetensors import SafetensorError

            raise SafetensorError(f"I/O error: {os.strerror(self.how)} (os error {self.how})")
        raise OSError(self.how, os.strerror(self.how))

    def wrap(self, owner, name):
        real = getattr(owner, name)

        def call(*args, **kwargs):
            self.seen += bool(self.begun())
            if self.seen != self.at or not self.begun():
                return real(*args, **kwargs)
            if name == "write_text":
                real(args[0], args[1][: len(args[1]) // 2], **kwargs)
            if name == "serialize_file":
                real(*args, **kwargs)
                os.truncate(args[1], os.path.getsize(args[1]) // 2)
            self.fail(name)

        return mock.patch.object(owner, name, call)

    def __enter__(self):
        import safetensors.torch

        self.patches = [
            self.wrap(owner, name)
            for owner, name in [*CALLS, (safetensors.torch, "serialize_file")]
        ]
        for p in self.patches:
            p.start()
        return self

    def __exit__(self, *error):
        for p in self.patches:
            p.stop()


def in_child(work):
    "Run `work` in a forked process; the exit code, negative for a signal"
    pid = os.fork()
    if pid == 0:
        try:
            code = work() or 0
        except BaseException as e:
            code = 3 if isinstance(e, ValueError) else 4 # a UserError is a ValueError
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _newest_step(found):
    "Step of what `find_checkpoint` found; None for nothing"
    return found[0] and found[0].state.step


def saves():
    "A save of a checkpoint, with all that goes before and after it, killed or failing in each of its calls"
    import torch

    from newsclf.core.storage import save_json
    from newsclf.train.checkpoint import (
        checkpoint_folder,
        find_checkpoint,
        prune_checkpoints,
        remove_leftovers,
    )
    from newsclf.train.state import save_tensors

    def save(where, step):
        with checkpoint_folder(where, step) as tmp:
            (tmp / "model").mkdir()
            for name in ("model/model", "optimizer", "random"):
                save_tensors(dict(w=torch.full((1000,), float(step))), tmp / f"{name}.safetensors")
            for name in ("scheduler", "state"):
                save_json(tmp / f"{name}.json", dict(format=1, step=step, facts={}))
        prune_checkpoints(where, step)

    found = dict(calls=0, killed=0, no_space=0, io_error=0, lost=0, torn=0, litter=0, not_said=0)
    ways = (("kill", "killed"), (errno.ENOSPC, "no_space"), (errno.EIO, "io_error"))
    for before, (how, name) in [
        (b, way) for b in ((500, 1000), (1500,)) for way in ways
    ]: # two older ones; or the only one, of the same step, which is saved once more
        for at in range(1, 1000):
            with tempfile.TemporaryDirectory() as tmp:
                where = Path(tmp) / "checkpoints"
                for step in before:
                    save(where, step)

                def work():
                    with Sabotage(at, how) as s:
                        save(where, 1500)
                    return 9 if s.seen < at else 0 # it was never reached: the save is through

                code = in_child(work)
                if code == 9:
                    found["calls"] = max(found["calls"], at - 1)
                    break
                found[name] += 1
                remove_leftovers(where)
                newest, passed = find_checkpoint(where)
                found["lost"] += newest is None or newest.state.step not in (1000, 1500)
                found["torn"] += bool(passed)
               # An error of the disk is said, unless it only kept an old checkpoint from being removed
                found["not_said"] += (
                    (how != "kill"
                    and code not in (3, 0))
                    or (how != "kill"
                    and code == 0
                    and (newest is None or newest.state.step != 1500))
                )
                save(where, 1500)
                found["litter"] += sorted(os.listdir(where)) != sorted(
                    {f"step-{s:06d}" for s in (*before[-1:], 1500)}
                )
    return found


class Child:
    "A forked process, as far as `subprocess.Popen` is needed"

    def __init__(self, pid, said):
        self.pid, self.said, self.returncode = pid, said, None

    def poll(self, flag=os.WNOHANG):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, flag)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def communicate(self):
        self.poll(0)
        return self.said.read_text(), None


class Desk:
    "A folder in which trainings are started, killed and resumed"

    small = False # as many steps, with a sixth of the rows, each cut to 32 tokens

    def __init__(self, folder, seed=1122, epochs=4, save_steps=7):
        self.folder, self.command = (
            Path(folder),
            [
                str(Path(sys.executable).with_name("newsclf")),
                "train",
                "--model",
                "tiny",
                "--config",
                "config.toml",
                "--epochs",
                str(6 * epochs if self.small else epochs),
                "--save-steps",
                str(save_steps),
                "--learning-rate",
                "2e-3",
                "--seed",
                str(seed),
            ],
        )
        self.env = os.environ | dict(
            HF_HUB_OFFLINE="1",
            TQDM_DISABLE="1",
            NEWSCLF_CACHE=str(self.folder / "cache"),
            NEWSCLF_STATE=str(self.folder / "state"),
        )
        if self.small:
            self.command += ["--data", "few", "--max-length", "32", "--batch-size", "24"]
            self.cut_data()
        (self.folder / "config.toml").write_text("[trainer]\nlogging_steps = 1\n")
        import matplotlib.pyplot  # for every fork

        import newsclf.cli.main
        import newsclf.evaluate.report
        import newsclf.predict.files
        import newsclf.run.audits
        import newsclf.run.job

        if not (self.folder / "tiny").exists():
            assert in_child(self.make_base) == 0 # no threads in the process that forks

    def cut_data(self):
        "The first 120 training rows and 40 test rows of the sample"
        from newsclf.data.sources import SAMPLE

        (self.folder / "few").mkdir(exist_ok=True)
        shutil.copy(SAMPLE / "classes.txt", self.folder / "few")
        for part, rows in dict(train=120, test=40).items():
            lines = (SAMPLE / f"{part}.csv").read_text(encoding="utf-8").splitlines(keepends=True)
            (self.folder / "few" / f"{part}.csv").write_text("".join(lines[:rows]), encoding="utf-8")

    def make_base(self):
        from newsclf.model.saved import random_base
        from newsclf.model.tokenizers import load_tokenizer
        from newsclf.model.weights import minilm_folder

        random_base(
            self.folder / "tiny",
            load_tokenizer(minilm_folder()),
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=128,
        )

    def start(self, out, *more, within=None):
        "Begin a training in a forked process"
        said = self.folder / f"{out}.txt"
        pid = os.fork()
        if pid:
            return Child(pid, said)
        code = 4
        try:
            signal.signal(
                signal.SIGINT, signal.default_int_handler
            ) # a campaign in the background is deaf to it, its trainings are not
            os.setsid()
            os.chdir(self.folder)
            os.environ.update(self.env)
            handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            sys.argv = [*self.command, "--out", out, *more]
            from newsclf.cli.main import main

            try:
                with within or nullcontext():
                    main()
                code = 0
            except SystemExit as e:
                code = e.code or 0
        finally:
            with suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def run(self, out, *more, within=None):
        "A training to its end: exit code and what it said"
        p = self.start(out, *more, within=within)
        said, _ = p.communicate()
        return p.returncode, said

    def launch(self, out, *more, with_=()):
        "Begin a training from nothing"
        return subprocess.Popen(
            [*with_, *self.command, "--out", out, *more],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def launched(self, out, *more, with_=()):
        p = self.launch(out, *more, with_=with_)
        said, _ = p.communicate()
        return p.returncode, said

    def weights(self, out):
        "sha256 of a run's model, None if there is none"
        path = self.folder / out / "model" / "model.safetensors"
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None

    def newest(self, out):
        "Step of the newest checkpoint by name, 0 for none"
        return max(
            (int(p.name[5:]) for p in (self.folder / out / "checkpoints").glob("step-*")),
            default=0,
        )

    def history(self, out):
        "Step of the last whole line of the history, 0 for none"
        path = self.folder / out / "history.jsonl"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return json.loads(lines[-1])["step"] if lines else 0

    def same_history(self, one, two):
        "Do two runs tell the same, but for times?"

        def told(out):
            return [
                {
                    k: v
                    for k, v in json.loads(line).items()
                    if k not in ("seconds", "rows_per_s", "tokens_per_s")
                }
                for line in (self.folder / out / "history.jsonl").read_text().splitlines()
            ]

        return told(one) == told(two)


def wait_for(what, process, seconds=120):
    "Wait until `what()` is true, or the process has ended"
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if what():
            return True
        time.sleep(0.001)
    return False


def kill_all(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def go_on(desk, out, want, found, again):
    "Resume an interrupted run by `again`, count how it ends, and remove it"
    code, said = again(out, "--resume")
    found["resumed"] += code == 0
    found["same_weights"] += desk.weights(out) == want
    found["same_history"] += desk.same_history(out, "whole")
    if code:
        print(said, file=sys.stderr)
    shutil.rmtree(desk.folder / out)
    print(found, file=sys.stderr)
    return said


def kills(n="50", every="3"):
    dice, found = (
        random.Random(1122),
        dict(
            kills=0,
            inside_a_save=0,
            before_the_first_checkpoint=0,
            while_finishing=0,
            resumed=0,
            same_weights=0,
            same_history=0,
            passed_over=0,
        ),
    )
    with tempfile.TemporaryDirectory() as tmp:
        desk = Desk(tmp)
        assert desk.run("whole")[0] == 0
        want = desk.weights("whole")
        while found["kills"] < int(n):
            out = f"kill-{found['kills']}"
            p = desk.start(out)
            checkpoints, at = desk.folder / out / "checkpoints", dice.randrange(0, 120)
            if found["kills"] % int(every) == 0: # inside a save: its hidden folder is there
                wait_for(lambda: desk.history(out) >= at, p)
                wait_for(lambda: any(checkpoints.glob(".step-*.tmp")), p)
                time.sleep(dice.random() * 0.04)
            else:
                wait_for(lambda: desk.history(out) >= at, p)
                time.sleep(dice.random() * 0.3)
            if p.poll() is not None: # it was through before: another time
                shutil.rmtree(desk.folder / out)
                continue
            kill_all(p)
            found["kills"] += 1
            found["inside_a_save"] += any(checkpoints.glob(".step-*.tmp"))
            found["before_the_first_checkpoint"] += desk.newest(out) == 0
            found["while_finishing"] += desk.newest(out) == 120
            found["passed_over"] += "skipped " in go_on(desk, out, want, found, desk.run)
    return found


def short_desk(folder):
    "A desk whose trainings have one epoch, with four checkpoints"
    Desk.small = True
    desk = Desk(folder, save_steps=1)
    desk.command += ["--epochs", "1"]
    assert desk.run("whole")[0] == 0
    return desk, desk.weights("whole")


def brought_to_an_end(desk, out, want, found, *more):
    "Go on with a copy of what a kill has left: does it end with the weights of a whole run, and with nothing left over?"
    place = desk.folder / "copy"
    if (desk.folder / out).exists():
        shutil.copytree(desk.folder / out, place)
    code, said = desk.run("copy", *more)
    found["refused"] += code == 2
    found["same_weights"] += code == 0 and desk.weights("copy") == want
    found["left_over"] += any((place / name).exists() for name in (".lock", "checkpoints"))
    found["left_over"] += any(place.glob(".*.tmp"))
    if code:
        print(out, more, code, said, file=sys.stderr)
    shutil.rmtree(place, ignore_errors=True)
    return said


def linked(path, to):
    "Copy a file; a large one, which is never written to again, as a second name"
    return (os.link if path.endswith(".safetensors") else shutil.copy2)(path, to)


class Snapshots:
    "Within, what a kill would leave of a run's folder is copied: before each call that changes a disk, and after half of each text"

    def __init__(self, run, begun, over):
        self.run, self.begun, self.over, self.calls, self.ended = run, begun, over, 0, False

    def take(self):
        "Copy the folder as it is"
        if self.ended or not self.begun():
            return
        self.calls, self.ended = self.calls + 1, self.over()
        now = self.run.with_name(f"state-{self.calls:03d}")
        now.mkdir()
        if self.run.exists():
            shutil.copytree(self.run, now / "run", copy_function=linked)

    def wrap(self, owner, name):
        real = getattr(owner, name)

        def call(*args, **kwargs):
            if self.quiet: # its own copying
                return real(*args, **kwargs)
            self.quiet = True
            try:
                self.take()
                if name == "write_text":
                    real(args[0], args[1][: len(args[1]) // 2], **kwargs)
                    self.take()
            finally:
                self.quiet = False
            return real(*args, **kwargs)

        return mock.patch.object(owner, name, call)

    def __enter__(self):
        self.quiet, self.patches = False, [self.wrap(*one) for one in CALLS]
        for p in self.patches:
            p.start()

    def __exit__(self, *error):
        for p in self.patches:
            p.stop()


def same_files(one, two):
    "Have two folders the same names with the same bytes?"

    def told(folder):
        return {
            p.relative_to(folder).as_posix(): p.read_bytes() if p.is_file() else None
            for p in folder.rglob("*")
        }

    return told(one) == told(two)


def left_by_kills(desk, out, begun, over):
    "Different folders that kills would leave of a training, in order, and how many calls they stand for"
    assert desk.run(out, within=Snapshots(desk.folder / out, begun, over))[0] == 0
    states, kept = sorted(desk.folder.glob("state-*")), []
    for state in states:
        if not kept or not same_files(kept[-1], state):
            kept.append(state)
    shutil.rmtree(desk.folder / out)
    return kept, len(states)


def ends():
    "What kills leave of a training until checkpoints/run.json is in place (begun again, and resumed), and from its report to its last call (resumed)"
    names = ("calls", "points", "tried", "refused", "same_weights", "left_over")
    found = dict(start=dict.fromkeys(names, 0), finish=dict.fromkeys(names, 0))
    with tempfile.TemporaryDirectory() as tmp:
        desk, want = short_desk(tmp)
        run = desk.folder / "killed"

        def marked():
            return (run / "checkpoints" / "run.json").exists()

        def reported():
            return (run / "report.html").exists()

        for part, begun, over in (
            ("start", lambda: True, marked),
            ("finish", reported, lambda: False),
        ):
            told = found[part]
            states, told["calls"] = left_by_kills(desk, "killed", begun, over)
            for state in states:
                told["points"] += 1
                begins = part == "start" and state != states[-1] # the last one has its mark
                for more in [(), ("--resume",)] if begins else [("--resume",)]:
                    told["tried"] += 1
                    name = f"{state.name}/run"
                    brought_to_an_end(desk, name, want, told, *more)
                print(found, file=sys.stderr)
            for state in desk.folder.glob("state-*"):
                shutil.rmtree(state)
    return found


def lost():
    "A run killed after its second checkpoint, whose run.json or history.jsonl is then empty or missing: resumed, and with a word about it"
    found = dict(tried=0, refused=0, same_weights=0, left_over=0, said=0, asked_for_options=0)
    with tempfile.TemporaryDirectory() as tmp:
        desk, want = short_desk(tmp)
        part = desk.folder / "part"
        second = lambda: desk.newest("part") >= 2 # noqa: E731
        assert desk.run("part", within=Sabotage(1, "kill", second))[0] == -signal.SIGKILL
        mark, history = part / "checkpoints" / "run.json", part / "history.jsonl"
        kept = {path: path.read_bytes() for path in (mark, history)}
        for path, left in ((mark, b""), (mark, b"{"), (history, None), (history, b"")):
            path.write_bytes(left) if left is not None else path.unlink()
            found["tried"] += 1
            said = brought_to_an_end(desk, "part", want, found, "--resume")
            found["said"] += f"note: {path.name} was" in said
            if path == mark:
                whole, desk.command = desk.command, desk.command[:2]
                code, said = desk.run("part", "--resume")
                desk.command = whole
                found["asked_for_options"] += code == 2 and "run.json is damaged" in said
            path.write_bytes(kept[path])
    return found


def signals(n="20"):
    dice, found = (
        random.Random(1123),
        dict(
            signals=0,
            right_code=0,
            steps_lost=0,
            said_how_to_go_on=0,
            resumed=0,
            same_weights=0,
            same_history=0,
            second_signal_left_at_once=0,
            second_signals=0,
        ),
    )
    with tempfile.TemporaryDirectory() as tmp:
        desk = Desk(tmp, save_steps=50)
        assert desk.run("whole")[0] == 0
        want = desk.weights("whole")
        while found["signals"] < int(n):
            out, number = (
                f"signal-{found['signals']}",
                (signal.SIGTERM, signal.SIGINT)[found["signals"] % 2],
            )
            p, at = desk.start(out), dice.randrange(1, 110)
            wait_for(lambda: desk.history(out) >= at, p)
            time.sleep(dice.random() * 0.1)
            os.kill(p.pid, number)
            said, _ = p.communicate()
            if (
                p.returncode == 0
                or "continue with" not in said.lower()
            ): # it was through before
                shutil.rmtree(desk.folder / out)
                continue
            found["signals"] += 1
            found["right_code"] += p.returncode == 128 + number
            found["steps_lost"] = max(found["steps_lost"], desk.history(out) - desk.newest(out))
            found["said_how_to_go_on"] += (
                "Continue with:\nnewsclf train" in said and "--resume" in said
            )
            go_on(desk, out, want, found, desk.run)
        p = desk.start("twice")
        wait_for(lambda: desk.history("twice") >= 60, p)
        was = desk.newest("twice")
        os.kill(p.pid, signal.SIGTERM)
        os.kill(p.pid, signal.SIGINT)
        p.communicate()
        found["second_signals"], found["second_signal_left_at_once"] = (
            1,
            int(p.returncode in (130, 143)),
        )
        _, said = desk.run("twice", "--resume")
        found["same_weights_after_two_signals"] = (
            desk.weights("twice") == want and f"resuming from step {max(was, 50)}" in said
        )
    return found


def interrupted(desk):
    "An interrupted run with two checkpoints, and the weights it must end with"
    assert desk.run("whole")[0] == 0
    p = desk.start("part")
    wait_for(lambda: desk.newest("part") >= 63, p)
    kill_all(p)
    assert len(list((desk.folder / "part" / "checkpoints").glob("step-*"))) >= 2
    return desk.weights("whole")


def harm(path, how):
    data = bytearray(path.read_bytes())
    if how == "missing":
        return path.unlink()
    if isinstance(how, int):
        data[how // 8] ^= 1 << how % 8
    path.write_bytes({"empty": b"", "cut": data[: len(data) // 2]}.get(how, data))


def after_harm(desk, want, cases):
    "What --resume makes of a checkpoint in which one file is harmed; `cases` are (relative name, how)"
    found = dict(cases=0, fell_back_and_said_so=0, refused=0, silent=0, same_weights=0)
    newest = f"step-{desk.newest('part'):06d}"
    for name, how in cases:
        shutil.copytree(desk.folder / "part", desk.folder / "harmed")
        harm(desk.folder / "harmed" / "checkpoints" / newest / name, how)
        code, said = desk.run("harmed", "--resume")
        found["cases"] += 1
        told = (
            f"skipped {newest}: {name}" in said
            or f"skipped {newest}: files.json" in said
        )
        found["fell_back_and_said_so"] += code == 0 and told
        found["refused"] += code == 2
        found["silent"] += code == 0 and not told
        found["same_weights"] += desk.weights("harmed") == want
        if code or not told:
            print(name, how, said, file=sys.stderr)
        shutil.rmtree(desk.folder / "harmed")
    return found


def damage():
    with tempfile.TemporaryDirectory() as tmp:
        desk = Desk(tmp)
        want = interrupted(desk)
        top = desk.folder / "part" / "checkpoints" / f"step-{desk.newest('part'):06d}"
        names = sorted(p.relative_to(top).as_posix() for p in top.rglob("*") if p.is_file())
        return dict(files=names) | after_harm(
            desk,
            want,
            [(name, how) for name in names for how in ("missing", "empty", "cut", 8 * 40 + 3)],
        )


def flips(n="100"):
    dice = random.Random(1124)
    with tempfile.TemporaryDirectory() as tmp:
        desk = Desk(tmp)
        want = interrupted(desk)
        top = desk.folder / "part" / "checkpoints" / f"step-{desk.newest('part'):06d}"
        sizes = {
            p.relative_to(top).as_posix(): p.stat().st_size
            for p in sorted(top.rglob("*"))
            if p.is_file()
        }
        cases = []
        for i in range(
            int(n)
        ): # half of them anywhere, half in a file drawn first, so that the small ones have their turn
            name = dice.choices(list(sizes), list(sizes.values()) if i % 2 else None)[0]
            cases.append((name, dice.randrange(8 * sizes[name])))
        return after_harm(desk, want, cases)


def same(n="5"):
    found = dict(pairs=0, same_bits=0, different_seeds=0)
    with tempfile.TemporaryDirectory() as tmp:
        seen = set()
        for seed in range(1122, 1122 + int(n)):
            desk = Desk(tmp, seed=seed, epochs=1)
            for precision in ("float32", "bf16"):
                for out in ("one", "two"):
                    assert desk.launched(out, "--precision", precision, "--force")[0] == 0
                found["pairs"] += 1
                found["same_bits"] += desk.weights("one") == desk.weights("two")
                seen.add(desk.weights("one"))
                for out in ("one", "two"):
                    shutil.rmtree(desk.folder / out)
        found["different_seeds"] = len(seen)
    return found


def changed():
    "Each of these makes another training; the last two are versions and a tokenizer, changed where the checkpoint remembers them"
    found = {}
    with tempfile.TemporaryDirectory() as tmp:
        desk = Desk(tmp)
        interrupted(desk)
        from newsclf.data.sources import SAMPLE

        for name in ("news", "relabelled"):
            shutil.copytree(SAMPLE, desk.folder / name)
        rows = (desk.folder / "news" / "train.csv").read_text().splitlines(keepends=True)
        (desk.folder / "news" / "train.csv").write_text("".join(rows[:-1]))
        (desk.folder / "relabelled" / "classes.txt").write_text(
            "Earth\nSports\nBusiness\nSci/Tech\n"
        )
        shutil.copytree(desk.folder / "tiny", desk.folder / "other")
        tokenizer = json.loads((desk.folder / "other" / "tokenizer.json").read_text())
        words = tokenizer["model"]["vocab"]
        text = "".join(p.read_text().lower() for p in SAMPLE.glob("*.csv"))
        a, b = [w for w in words if w.isascii() and w.isalpha() and len(w) > 6 and w not in text][
            :2
        ]
        words[a], words[b] = (
            words[b],
            words[a],
        ) # no row has them: only the tokenizer itself can tell
        (desk.folder / "other" / "tokenizer.json").write_text(json.dumps(tokenizer))
        from newsclf.core.machine import choose_precision

        other = (
            "float32" if choose_precision("auto", "cpu").name == "bf16" else "bf16"
        ) # than this machine chooses by itself
        ways = dict(
            data=["--data", "news"],
            labels=["--data", "relabelled"],
            tokenizer=["--model", "other"],
            batch=["--batch-size", "12"],
            length=["--max-length", "64"],
            learning_rate=["--learning-rate", "1e-3"],
            epochs=["--epochs", "5"],
            seed=["--seed", "7"],
            precision=["--precision", other],
            threads=["--threads", "1"],
        )
        for name, flags in ways.items():
            shutil.copytree(desk.folder / "part", desk.folder / "copy")
            with mock.patch("newsclf.core.machine.bf16_gain", lambda: 2.0):
                code, said = desk.run(
                    "copy", "--resume", *flags
                ) # bf16 is refused elsewhere where it is slow
            found[name] = code == 2 and " was " in said and " is " in said
            print(name, code, said.splitlines()[-1], file=sys.stderr)
            shutil.rmtree(desk.folder / "copy")
        with mock.patch("newsclf.train.resume.versions", lambda: dict(torch="2.14.0")):
            code, said = desk.run("part", "--resume")
        found["versions"] = code == 2 and "version of torch was" in said
        was = desk.newest("part")
        print("versions", code, said.splitlines()[-1], file=sys.stderr)
        code, said = desk.run("part", "--resume", "--learning-rate", "1e-3", "--force")
        told = json.loads((desk.folder / "part" / "manifest.json").read_text())["training"]
        return dict(
            settings=len(found),
            refused=sum(found.values()),
            which=found,
            forced_goes_on=code == 0
            and told["changed"] == dict(learning_rate=[0.002, 0.001])
            and told["resumed"] == [was],
        )


def two(n="3"):
    dice, found = (
        random.Random(1125),
        dict(
            kills=0,
            ended_with_it=0,
            resumed=0,
            same_weights=0,
            same_history=0,
            ranks_in_the_checkpoint=0,
        ),
    )
    with tempfile.TemporaryDirectory() as tmp:
        desk = Desk(tmp, epochs=3)
        launch = [
            str(Path(sys.executable).with_name("accelerate")),
            "launch",
            "--multi_gpu",
            "--num_processes",
            "2",
            "--main_process_port",
            "0",
        ] # without --multi_gpu it starts one process on a machine without GPUs
        desk.env["OMP_NUM_THREADS"] = "1"
        code, said = desk.launched("whole", with_=launch)
        if code:
            raise RuntimeError(said[-3000:])
        want = desk.weights("whole")
        for i in range(int(n)):
            out, at = f"two-{i}", dice.randrange(20, 80)
            p = desk.launch(out, with_=launch)
            if not wait_for(lambda: desk.history(out) >= at, p):
                kill_all(p) if p.poll() is None else print(p.communicate()[0], file=sys.stderr)
                raise RuntimeError(f"it did not come to step {at}")
            workers = [
                c for c in psutil.Process(p.pid).children(recursive=True) if "RANK" in c.environ()
            ]
            victim = next(c for c in workers if c.environ()["RANK"] == str(i % 2))
            victim.kill()
            try:
                p.wait(60)
                found["ended_with_it"] += p.returncode != 0
            except subprocess.TimeoutExpired:
                pass
            with suppress(ProcessLookupError):
                kill_all(p)
            found["kills"] += 1
            from safetensors import safe_open

            with safe_open(
                desk.folder
                / out
                / "checkpoints"
                / f"step-{desk.newest(out):06d}"
                / "random.safetensors",
                "pt",
            ) as f:
                ranks = {k.split("/")[0] for k in f.keys()} # noqa: SIM118 (it is no dict)
            most = max(found["ranks_in_the_checkpoint"], len(ranks))
            found["ranks_in_the_checkpoint"] = most
            go_on(desk, out, want, found, partial(desk.launched, with_=launch))
    return found


def limits(n="12"):
    "No file of the resumed run may grow beyond a limit, which lies at many places of its files: every write beyond it fails"
    found = dict(
        limits=0, one_line=0, code_2=0, earlier_checkpoint_whole=0, resumed=0, same_weights=0
    )
    with tempfile.TemporaryDirectory() as tmp:
        desk = Desk(tmp)
        want = interrupted(desk)
        from newsclf.train.checkpoint import find_checkpoint

        was = desk.newest("part")
        for i in range(int(n)):
            shutil.copytree(desk.folder / "part", desk.folder / "full")
            limit = int(
                1e6 + 16e6 * i / int(n)
            ) # the weights have 8 million bytes, the optimizer's averages 17
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
            try:
                code, said = desk.run("full", "--resume")
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            found["limits"] += 1
            found["code_2"] += code == 2
            found["one_line"] += (
                "cannot be written" in said.splitlines()[-1] and "Traceback" not in said
            )
            if code != 2:
                print(limit, code, said, file=sys.stderr)
            found["earlier_checkpoint_whole"] += (
                _newest_step(find_checkpoint(desk.folder / "full" / "checkpoints")) == was
            )
            code, said = desk.run("full", "--resume")
            found["resumed"] += code == 0
            found["same_weights"] += desk.weights("full") == want
            shutil.rmtree(desk.folder / "full")
    return found


def cost(steps="45", saves="3"):
    "Seconds of a step and of a save while minilm is trained on rows of AG News' lengths; a checkpoint each 500 steps costs the one over 500 times the other"
    import statistics

    import numpy as np
    from datasets import Dataset, DatasetDict
    from transformers import TrainerCallback

    from newsclf.core.config import make_config
    from newsclf.core.machine import choose_device, choose_precision, set_seed
    from newsclf.model.classifier import new_classifier
    from newsclf.model.tokenizers import load_tokenizer
    from newsclf.model.weights import minilm_folder
    from newsclf.train.checkpoint import Checkpoints
    from newsclf.train.more_options import Training
    from newsclf.train.resume import ResumableTrainer
    from newsclf.train.training import fine_tune

    class Timed(ResumableTrainer):
        saves, ends = [], []

        def _save_checkpoint(self, *args, **kwargs):
            start = time.perf_counter()
            super()._save_checkpoint(*args, **kwargs)
            Timed.saves.append(time.perf_counter() - start)

        def training_step(self, *args, **kwargs):
            Timed.ends.append((self.state.global_step, time.perf_counter()))
            return super().training_step(*args, **kwargs)

    histogram = json.loads((Path(__file__).parent / "figures" / "lengths.json").read_text())
    rng, counts = np.random.default_rng(1122), np.array(histogram["rows"])
    lengths = rng.choice(histogram["tokens"], 24 * int(steps), p=counts / counts.sum())
    rows = Dataset.from_dict(
        dict(
            input_ids=[rng.integers(1000, 30000, n).tolist() for n in lengths],
            length=lengths.tolist(),
            label=(np.arange(len(lengths)) % 4).tolist(),
        )
    )
    cfg = make_config(epochs=1.0, trainer=dict(eval_strategy="no"))
    tokenizer, device = load_tokenizer(minilm_folder()), choose_device(cfg.device).name
    chosen = choose_precision(cfg.precision, device)
    set_seed(cfg.seed)
    ours = mock.patch("newsclf.train.training.ResumableTrainer", Timed)
    with tempfile.TemporaryDirectory() as tmp, ours:
        keep = Checkpoints(Path(tmp) / "checkpoints", {}, int(steps) // int(saves), print)
        training = Training(
            new_classifier(minilm_folder(), list("abcd"), say=lambda line: None),
            tokenizer,
            DatasetDict(train=rows, validation=rows.select(range(24))),
            cfg,
            Path(tmp),
            device,
            chosen.name,
            say=lambda line: None,
        )
        fine_tune(training, keep=keep)
        size = sum(
            p.stat().st_size
            for p in (Path(tmp) / "checkpoints").rglob("*")
            if p.is_file() and p.parts[-2:][0].startswith(("step", "model"))
        ) / len(list((Path(tmp) / "checkpoints").glob("step-*")))
    gaps = [
        b - a for (i, a), (j, b) in pairwise(Timed.ends) if j % keep.every
    ] # between steps without a save
    step, save = statistics.fmean(gaps), statistics.median(Timed.saves)
    return dict(
        seconds_a_step=round(step, 3),
        seconds_a_save=[round(s, 2) for s in Timed.saves],
        megabytes=round(size / 2**20),
        share_at_500_steps=round(save / (500 * step), 4),
        precision=[chosen.name, chosen.reason],
    )


PARTS = dict(
    saves=saves,
    ends=ends,
    lost=lost,
    kills=kills,
    signals=signals,
    damage=damage,
    flips=flips,
    same=same,
    changed=changed,
    two=two,
    limits=limits,
    cost=cost,
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--small"]:
        Desk.small = bool(sys.argv.pop(1))
    if len(sys.argv) == 1 or sys.argv[1] not in [*PARTS, "all"]:
        sys.exit(__doc__)
    if sys.argv[1] != "all":
        print(json.dumps(PARTS[sys.argv[1]](*sys.argv[2:]), indent=1))
    else: # a second word names a folder for the results of single parts; those that are there are not made again
        from newsclf.core.provenance import circumstances, utc_now
        from newsclf.core.storage import write_text

        keep, found, told = (
            Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp()),
            {},
            circumstances("python nbs/explanations/measure_crashes.py all"),
        )
        for part in PARTS: # each in a process of its own: some of them fork, which only a process without threads may
            if not (keep / f"{part}.json").exists():
                started = utc_now()
                done = subprocess.run(
                    [sys.executable, __file__, part], stdout=subprocess.PIPE, text=True
                )
                result = (
                    json.loads(done.stdout)
                    if done.returncode == 0
                    else dict(failed=done.returncode)
                )
                write_text(
                    keep / f"{part}.json",
                    json.dumps(result | dict(started=started, commit=told["commit"])),
                )
                print(part, result, file=sys.stderr)
            found[part] = json.loads((keep / f"{part}.json").read_text())
        print(json.dumps(found | told | dict(seed=1122), indent=1))
