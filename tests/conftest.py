"""What several test files need: the script as a fresh module, and runs of it."""

import contextlib
import importlib.util
import io
import os
import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # no start-up noise
import tensorflow as tf

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "ppo_cartpole.py"


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
    yield load()
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def build(tmp_path):
    """The script as a fresh module, built with edited hyperparameters: build(seed=1, ...)."""
    yield lambda **values: load(edit(tmp_path / "ppo_cartpole.py", **values))
    tf.config.run_functions_eagerly(False)


def environment(**changes):
    """This process's environment, without what the script itself puts there when imported."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TF_", "CUDA_"))}
    return {**kept, **changes}


def run(*arguments, **options):
    """Run the script in a process of its own; return the finished process, output as text."""
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        encoding="utf-8",
        env=environment(**options.pop("env", {})),
        **options,
    )


def run_here(*arguments, script=SCRIPT):
    """Run the script as `python ppo_cartpole.py` would, in this process, which saves the imports.

    Returns its names, its output, its errors and what it exited with (None at the end).
    """
    handler = signal.getsignal(signal.SIGINT)
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
        signal.signal(signal.SIGINT, handler)
        tf.config.run_functions_eagerly(False)
    return SimpleNamespace(names=names, output=output.getvalue(), errors=errors.getvalue(), code=code)


LINE = re.compile(r"完成第 (\d+) 轮训练， 平均奖励: (\d+\.\d+)")


def averages(lines):
    """The printed averages, after a check of each line's form and number."""
    matches = [LINE.fullmatch(line) for line in lines if line.startswith("完成")]
    assert all(matches) and [int(m[1]) for m in matches] == list(range(1, len(matches) + 1))
    return [float(match[2]) for match in matches]


def decode(path):
    """All frames of a GIF, uint8 (n, height, width, 3), by TensorFlow's giflib: Pillow wrote them."""
    return tf.io.decode_gif(Path(path).read_bytes()).numpy()
