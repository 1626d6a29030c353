"""What several test files need: the script as a fresh module, runs of it, and what they leave."""

import contextlib
import importlib.util
import io
import os
import re
import runpy
import subprocess
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import pytest
import tensorflow as tf

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "ppo_cartpole.py"
SOURCE = SCRIPT.read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
GIFS = {"未训练前的样子.gif", "训练后的样子.gif", "训练前后对比.gif"}
HOLD = 20  # pictures: the end stays for a second
# The twelve values that the article sets, and three of our own.
ARTICLES_VALUES = {
    "steps_per_epoch": 5000,
    "epochs": 20,
    "gamma": 0.90,
    "clip_ratio": 0.2,
    "policy_learning_rate": 3e-4,
    "value_function_learning_rate": 3e-4,
    "train_policy_iterations": 80,
    "train_value_iterations": 80,
    "lam": 0.97,
    "target_kl": 0.01,
    "hidden_sizes": (64, 64),
    "render": False,
}
DEFAULTS = ARTICLES_VALUES | {"seed": 0, "gif": True, "output_dir": "outputs"}
LINE = re.compile(r"完成第 (\d+) 轮训练， 平均奖励: (\d+\.\d+)")


def load(path=SCRIPT):
    """Import a script afresh: everything in it is as it builds it."""
    spec = importlib.util.spec_from_file_location("ppo_cartpole", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(**values):
    """The script as a fresh module, hyperparameters set where its command line sets them."""
    module = types.ModuleType("ppo_cartpole")
    settings, heading, networks = SOURCE.partition("# ==== 游戏初始化")
    exec(compile(settings, SCRIPT, "exec"), module.__dict__)
    assert values.keys() <= module.__dict__.keys()
    module.__dict__.update(values)
    lines = "\n" * settings.count("\n")  # so that TensorFlow finds each function where it is in the file
    exec(compile(lines + heading + networks, SCRIPT, "exec"), module.__dict__)
    return module


def environment(**changes):
    """This process's environment, without what the script itself puts there when imported."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    return {**kept, **changes}


def run_process(*arguments, env=(), **options):
    """Run the script in a process of its own; return the finished process, output as text."""
    command, own = [sys.executable, SCRIPT, *arguments], environment(**dict(env))
    return subprocess.run(command, capture_output=True, text=True, env=own, **options)


def run_here(*arguments, script=SCRIPT):
    """Run the script as `python ppo_cartpole.py` would, in this process, which saves the imports.

    Returns its names, its output, its errors and what it exited with (None at the end).
    """
    output, errors = io.StringIO(), io.StringIO()
    old_arguments, sys.argv = sys.argv, [str(script), *map(str, arguments)]
    names, code = {}, None
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            names = runpy.run_path(str(script), run_name="__main__")
    except SystemExit as exit_:
        code = exit_.code
    finally:
        sys.argv = old_arguments
    return SimpleNamespace(names=names, output=output.getvalue(), errors=errors.getvalue(), code=code)


def edited(path, **values):
    """Write the script to path with other values in its first assignments, as a reader edits them."""
    source = SOURCE
    for name, value in values.items():
        old = re.search(rf"^{name} = [^#\n]*", source, re.M)[0]
        source = source.replace(f"\n{old}", f"\n{name} = {value!r}  ", 1)
    path.write_text(source, "utf-8")
    return path


def blocks(text=README):
    """README's fenced blocks, as (language, content)."""
    return re.findall(r"^```(\w*)\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)


def shipped(path):
    """A file of this repository, whose names are UTF-8 on the disk, in any locale."""
    return ROOT / os.fsdecode(path.encode())


def averages(lines):
    """The printed averages, after a check of each line's form and number."""
    matches = [LINE.fullmatch(line) for line in lines if line.startswith("完成")]
    assert all(matches) and [int(m[1]) for m in matches] == list(range(1, len(matches) + 1))
    return [float(match[2]) for match in matches]


def logged(folder):
    """What the only log in a folder holds: {tag: [(step, value), ...]}."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (log,) = (Path(folder) / "logs").iterdir()
    try:
        tf.io.gfile.isdir(str(log))
    except UnicodeDecodeError:
        pytest.skip("TensorFlow 2.15 on Windows finds no folder with a Chinese name: no log can be made")
    events = EventAccumulator(str(log), size_guidance={"tensors": 0}).Reload()
    return {
        tag: [(event.step, tf.make_ndarray(event.tensor_proto).item()) for event in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


def decode(path):
    """All frames of a GIF, uint8 (n, height, width, 3), by TensorFlow's giflib: Pillow wrote them."""
    return tf.io.decode_gif(Path(path).read_bytes()).numpy()
