"""The whole run with the default hyperparameters, what it leaves, and README's examples with it."""

import ast
import re
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import FILES, GIFS, HOLD, ROOT, SCRIPT, averages, blocks, decode, logged, python


@pytest.fixture(scope="module")
def default_run(tmp_path_factory):
    """`folder` is where it left its files; its output and the progress bar, as one terminal shows them."""
    folder = tmp_path_factory.mktemp("default") / "outputs"
    process = python(SCRIPT, cwd=folder.parent, stderr=subprocess.STDOUT)
    assert process.returncode == 0, process.stdout
    shown = [line.strip() for line in re.split(r"[\r\n]", process.stdout) if line.strip()]
    lines = [line for line in shown if not re.search("it/s|[?]it|s/it|no log: ", line)]
    return SimpleNamespace(folder=folder, shown=shown, lines=lines)


def test_it_learns(default_run):
    """An untrained policy keeps the pole up for about 20 steps, and so does a broken update."""
    printed = averages(default_run.lines)
    assert printed[0] < 50 and np.mean(printed[-5:]) >= 150


def test_it_leaves_what_it_should_and_prints_no_more(default_run):
    assert {p.name for p in default_run.folder.iterdir()} == FILES | GIFS
    # A recording, 20 epochs, a recording, what to open; the progress bar is not in any line.
    assert [line[:2] for line in default_run.lines] == ["ou", *["完成"] * 20, "ou", "请打"], default_run.lines
    assert "20/20" in default_run.shown[-3]
    assert "outputs/训练前后对比.gif" in default_run.lines[-1]


def test_its_three_gifs(default_run):
    before = decode(default_run.folder / "未训练前的样子.gif")[:-HOLD]
    after = decode(default_run.folder / "训练后的样子.gif")[:-HOLD]
    both = decode(default_run.folder / "训练前后对比.gif")
    assert len(before) < 100 < len(after) == len(both) - HOLD
    assert f"took {len(before)} steps" in default_run.lines[0]
    assert f"took {len(after)} steps" in default_run.lines[-2]


def test_its_log_opens_in_tensorboard(default_run):
    values = logged(default_run.folder)
    ((_, text),) = values.pop("hyperparameters")
    assert ast.literal_eval(text.decode()).items() >= {"seed": 0, "gamma": 0.9}.items()
    for tag in values:
        assert [step for step, _ in values[tag]] == list(range(1, 21)), tag
        values[tag] = np.array([value for _, value in values[tag]])
    np.testing.assert_allclose(values["average reward"], averages(default_run.lines), rtol=1e-6)
    assert np.mean(values["explained variance"][-5:]) > values["explained variance"][0]  # the critic learns
    assert 0.6 < values["entropy"][0] < np.log(2) + 0.02


def test_the_readmes_examples_use_the_trained_policy(default_run):
    examples = [text.split("  #")[0] for text in blocks("python")]
    assert len(examples) == 4 and examples[:2] == examples[2:]  # two in each half, but for a comment
    where = {"cwd": default_run.folder.parent, "env": {"PYTHONPATH": str(ROOT)}}
    process = python("-c", "\n".join(examples[:2]), **where)
    assert process.returncode == 0, process.stderr
    assert float(process.stdout.splitlines()[0]) > 100  # mean steps, greedy actions
    assert len(decode(default_run.folder / "another.gif")) > 100 + HOLD, "not the trained policy"
