"""What several test files need: the script as a fresh module, and runs of it."""

import contextlib
import importlib.util
import io
import os
import re
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

for name in "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE":  # a reader's machine does not set them
    os.environ.pop(name, None)
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # no start-up noise
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # oneDNN rounds in a graph otherwise than outside of one
import tensorflow as tf

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "ppo_cartpole.py"
GIFS = {"未训练前的样子.gif", "训练后的样子.gif", "训练前后对比.gif"}
# The twelve values that the article sets.
ARTICLE = {
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


def edit(path, **values):
    """Write the script to path with these hyperparameters, as a reader would edit them."""
    source = SCRIPT.read_text("utf-8")
    for name, value in values.items():
        line = f"{name} = {value!r}"
        source, count = re.subn(rf"^{name} = .*$", lambda _, line=line: line, source, flags=re.M)
        assert count == 1
    path.write_text(source, "utf-8")
    return path


def load(path=SCRIPT):
    """Import the script afresh: everything in it is as it builds it."""
    spec = importlib.util.spec_from_file_location("ppo_cartpole", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ppo():
    """The script as a fresh module."""
    return load()


@pytest.fixture
def build(tmp_path):
    """The script as a fresh module, built with edited hyperparameters: build(seed=1, ...)."""

    def built(**values):
        folder = tempfile.mkdtemp(dir=tmp_path)  # a new one, or Python may find it compiled already
        return load(edit(Path(folder, "ppo_cartpole.py"), **values))

    return built


def environment(**changes):
    """This process's environment, without what the script itself puts there when imported."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    return {**kept, **changes}


def run(*arguments, **options):
    """Run the script in a process of its own; return the finished process, output as text."""
    command, environ = [sys.executable, SCRIPT, *arguments], environment(**options.pop("env", {}))
    return subprocess.run(command, capture_output=True, text=True, env=environ, **options)


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


LINE = re.compile(r"完成第 (\d+) 轮训练， 平均奖励: (\d+\.\d+)")


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
    events = EventAccumulator(str(log), size_guidance={"tensors": 0}).Reload()
    return {
        tag: [(event.step, tf.make_ndarray(event.tensor_proto).item()) for event in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


def decode(path):
    """All frames of a GIF, uint8 (n, height, width, 3), by TensorFlow's giflib: Pillow wrote them."""
    return tf.io.decode_gif(Path(path).read_bytes()).numpy()
