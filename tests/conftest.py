"""What several test files need: the module with everything put back after each test, and runs."""

import contextlib
import io
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import tensorflow as tf
from tensorflow import keras

import ppo_cartpole

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "ppo_cartpole.py"


@pytest.fixture
def ppo(monkeypatch, tmp_path):
    """The module, writing to a fresh folder; its networks and names are put back afterwards."""
    weights = ppo_cartpole.actor.get_weights(), ppo_cartpole.critic.get_weights()
    names = dict(vars(ppo_cartpole))
    keras.utils.set_random_seed(0)
    ppo_cartpole.env.seed(0)
    ppo_cartpole.output_dir = str(tmp_path)
    # Functions traced afresh see what a test puts in place of a module's name.
    for name in ("sample_action", "sample_trajectory", "train_policy", "train_value_function"):
        setattr(ppo_cartpole, name, tf.function(names[name].python_function))
    ppo_cartpole.policy_optimizer = keras.optimizers.Adam(ppo_cartpole.policy_learning_rate)
    ppo_cartpole.value_optimizer = keras.optimizers.Adam(ppo_cartpole.value_function_learning_rate)
    yield ppo_cartpole
    for name in set(vars(ppo_cartpole)) - set(names):
        delattr(ppo_cartpole, name)
    vars(ppo_cartpole).update(names)
    ppo_cartpole.actor.set_weights(weights[0])
    ppo_cartpole.critic.set_weights(weights[1])


@pytest.fixture
def small(ppo):
    """The module with short epochs: small(steps_per_epoch, epochs)."""

    def set_sizes(steps_per_epoch, epochs):
        ppo.steps_per_epoch, ppo.epochs = steps_per_epoch, epochs
        ppo.buffer = ppo.Buffer(4, steps_per_epoch, ppo.gamma, ppo.lam)
        return ppo

    return set_sizes


def run(*arguments, **options):
    """Run the script in a process of its own; return the finished process, output as text."""
    environment = {**os.environ, **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        **options,
    )


def run_here(*arguments):
    """Run the script as `python ppo_cartpole.py` would, in this process, which saves the imports.

    Returns its names, its output and what it exited with (None at the end).
    """
    handlers = [(name, signal.getsignal(name)) for name in (signal.SIGINT, signal.SIGTERM)]
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    old_arguments, sys.argv = sys.argv, [str(SCRIPT), *map(str, arguments)]
    names, code = {}, None
    try:
        with contextlib.redirect_stdout(output):
            names = runpy.run_path(str(SCRIPT), run_name="__main__")
    except SystemExit as exit_:
        code = exit_.code
    finally:
        sys.argv = old_arguments
        for name, handler in handlers:
            signal.signal(name, handler)
    output.flush()
    return SimpleNamespace(names=names, output=output.buffer.getvalue().decode("utf-8"), code=code)


@pytest.fixture(scope="session")
def default_run(tmp_path_factory):
    """The whole run with the default hyperparameters; `folder` is where it left its files."""
    folder = tmp_path_factory.mktemp("default") / "outputs"
    process = run(cwd=folder.parent)
    return SimpleNamespace(process=process, folder=folder, lines=process.stdout.splitlines())
