"""The whole run with the default hyperparameters, what it leaves, and README's examples with it."""

import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, averages, decode, environment, run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_gifs import HOLD, halves
from test_readme import CHINESE, blocks


@pytest.fixture(scope="module")
def default_run(tmp_path_factory):
    """`folder` is where it left its files."""
    folder = tmp_path_factory.mktemp("default") / "outputs"
    process = run(cwd=folder.parent)
    assert process.returncode == 0, process.stderr
    return SimpleNamespace(process=process, folder=folder, lines=process.stdout.splitlines())


def test_it_learns(default_run):
    """An untrained policy keeps the pole up for about 20 steps, and so does a broken update."""
    printed = averages(default_run.lines)
    assert len(printed) == 20
    assert printed[0] < 50
    assert np.mean(printed[-5:]) >= 150


def test_it_leaves_what_it_should_and_prints_no_more(default_run):
    gifs = {"未训练前的样子.gif", "训练后的样子.gif", "训练前后对比.gif"}
    assert {p.name for p in default_run.folder.iterdir()} == {"actor.h5", "critic.h5", "logs", *gifs}
    assert len(default_run.lines) == 22  # two recordings, 20 epochs
    assert "20/20" in default_run.process.stderr  # the progress bar
    assert "warning" not in default_run.process.stderr.lower()


def test_its_three_gifs(default_run):
    before = decode(default_run.folder / "未训练前的样子.gif")
    after = decode(default_run.folder / "训练后的样子.gif")
    both = decode(default_run.folder / "训练前后对比.gif").astype(int)
    steps_before, steps_after = len(before) - HOLD, len(after) - HOLD
    assert steps_before < 100 < steps_after
    assert f"took {steps_before} steps" in default_run.lines[0]
    assert f"took {steps_after} steps" in default_run.lines[-1]
    assert len(both) == len(after)
    for t in (0, 5, steps_before - 1, steps_before, steps_after - 1, len(both) - 1):
        expected = np.hstack(list(halves(before[:steps_before], after[:steps_after], t)))
        assert np.abs(both[t] - expected).max() <= 4


def test_its_log_opens_in_tensorboard(default_run):
    (folder,) = (default_run.folder / "logs").iterdir()
    log = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    values = {}
    assert len(log.Tags()["tensors"]) == 6
    for tag in log.Tags()["tensors"]:
        events = log.Tensors(tag)
        if tag == "hyperparameters":
            (text,) = (tf.make_ndarray(event.tensor_proto).item().decode() for event in events)
            assert "'gamma': 0.9" in text and "'hidden_sizes': (64, 64)" in text
            continue
        assert [event.step for event in events] == list(range(1, 21))
        values[tag] = np.array([tf.make_ndarray(event.tensor_proto).item() for event in events])
    assert set(values) == {"average reward", "KL", "policy iterations", "value loss", "entropy"}
    np.testing.assert_allclose(values["average reward"], averages(default_run.lines), rtol=1e-6)
    iterations, kl, entropy = values["policy iterations"], values["KL"], values["entropy"]
    assert np.all((iterations == 80) | (kl > 0.015))  # stopped only where the KL was too large
    assert np.all((0 < entropy) & (entropy < np.log(2) + 0.02)) and entropy[0] > 0.6


def test_the_printout_in_the_readme_has_its_form(default_run):
    (shown,) = (text for language, text in blocks() if language == "text")
    lines = default_run.lines

    def form(texts):  # another processor or TensorFlow rounds otherwise
        return [re.sub(r"[\d.]+", "#", text) for text in texts]

    assert form(shown.splitlines()) == form([*lines[:2], "…", *lines[-2:]])
    (inline,) = re.findall(r"`(完成.*?)`", CHINESE)
    assert form([inline]) == form(lines[1:2])


def test_the_examples_in_the_readme_work(default_run):
    examples = [text for language, text in blocks() if language == "python"]
    assert len(examples) >= 2  # at least one in each half
    for example in examples:
        process = subprocess.run(
            [sys.executable, "-c", example],
            cwd=default_run.folder.parent,
            env=environment(PYTHONPATH=str(ROOT)),
            capture_output=True,
            encoding="utf-8",
        )
        assert process.returncode == 0, process.stderr
        if "print(" in example:  # the mean number of steps, always taking the likelier action
            assert float(process.stdout.split()[-1]) > 100
