"""What several test files need: the script as a fresh module, runs of it, and what they leave."""

import contextlib
import io
import os
import re
import runpy
import subprocess
import sys
import tempfile
import types
from pathlib import Path
from types import SimpleNamespace

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "ppo_cartpole.py"
SOURCE = SCRIPT.read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
GIFS = {"未训练前的样子.gif", "训练后的样子.gif", "训练前后对比.gif"}
FILES = {"actor.h5", "critic.h5", "logs"}  # and these, in any run
HOLD = 20  # pictures: the end stays for a second
TINY = "--epochs", "2", "--steps-per-epoch", "60"


def edited(**values):
    """The script with other hyperparameters, as a reader edits them."""
    source = SOURCE
    for name, value in values.items():
        (line,) = re.findall(rf"^{name} = .*\n", source, re.M)
        source = source.replace(line, f"{name} = {value!r}\n")
    return source


def load(**values):
    """The script as a fresh module, its hyperparameters edited."""
    module = types.ModuleType("ppo_cartpole")
    module.__file__ = str(SCRIPT)  # no line moves, so TensorFlow finds each function there
    exec(compile(edited(**values), SCRIPT, "exec"), vars(module))
    return module


def run_here(*arguments, source=SOURCE):
    """Run the script as a command would, in this process; return its names, output, errors and exit code."""
    output, errors, names, code = io.StringIO(), io.StringIO(), {}, None
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        script = Path(folder, "ppo_cartpole.py")
        script.write_text(source, "utf-8")
        patch.setattr(sys, "argv", [str(script), *map(str, arguments)])
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
                names = runpy.run_path(str(script), run_name="__main__")
        except SystemExit as exit_:
            code = exit_.code
    return SimpleNamespace(names=names, output=output.getvalue(), errors=errors.getvalue(), code=code)


def environment(**changes):
    """This process's environment, without what the script itself puts there when imported."""
    return {key: value for key, value in os.environ.items() if not key.startswith("TF_")} | changes


def python(*arguments, env=(), **options):
    """Run Python in a process of its own; return the finished process, output as text."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.run([sys.executable, *arguments], env=environment(**dict(env)), **options)


def blocks(language, text=README):
    """What stands in README's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)\n```$", text, re.M | re.S)


def averages(lines):
    """The printed averages, after a check of each line's form and number."""
    form = r"完成第 (\d+) 轮训练， 平均奖励: (-?\d+\.\d+)"
    matches = [re.fullmatch(form, line) for line in lines if line.startswith("完成")]
    assert all(matches) and [int(m[1]) for m in matches] == list(range(1, len(matches) + 1))
    return [float(match[2]) for match in matches]


def logged(folder):
    """What the only log in a folder holds: {tag: [(step, value), ...]}."""
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
