"""The script as a user runs it: options, edits, files, and what goes wrong."""

import ast
import os
import re
import signal
import subprocess
import sys

import helpers
import pytest
import tensorflow as tf
from helpers import FILES, GIFS, SCRIPT, SOURCE, TINY, averages, edited, load, python, run_here

ERROR = r"ppo_cartpole.py: error: .+\n?"  # one line
unix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals, limits and locales")

BAD = "--steps-per-epoch=0 --gamma=1.1 --lam=nan --clip-ratio=0 --seed=4294967296 --hidden-sizes=0 5"
BAD += " --target-kl=inf --epochs=2.5 --output-dir="


def test_bad_options_are_refused_in_one_line():
    for option in BAD.split():
        process = run_here(option)
        assert process.code == 2 and process.output == "" and re.fullmatch(ERROR, process.errors), option
        assert option.split("=")[0].lstrip("-") in process.errors.replace("_", "-")
    assert run_here(source=edited(gamma=1.01)).code == 2  # what is edited into the file, too
    assert re.fullmatch(ERROR, run_here("--no-gif", "--output-dir", SCRIPT / "folder").code)


# What the article sets, in its order, below its imports.
ARTICLE = """import numpy as np; import tensorflow as tf; from tensorflow import keras
from tensorflow.keras import layers; import gym; import scipy.signal; import time; from tqdm import tqdm
steps_per_epoch = 5000; epochs = 20; gamma = 0.90; clip_ratio = 0.2; policy_learning_rate = 3e-4
value_function_learning_rate = 3e-4; train_policy_iterations = 80; train_value_iterations = 80; lam = 0.97
target_kl = 0.01; hidden_sizes = (64, 64); render = False
"""


def test_the_articles_block_can_stand_in_place_of_ours(tmp_path):
    start, end = SOURCE.index("steps_per_epoch = "), SOURCE.index("\n", SOURCE.index("render = "))
    tiny = *TINY, "--no-gif", "--output-dir", tmp_path / "outputs", "--gamma", 0.5
    pasted, ours = run_here(*tiny, source=SOURCE[:start] + ARTICLE + SOURCE[end:]), run_here(*tiny)
    assert pasted.code is None and pasted.output == ours.output
    exec(ARTICLE, block := {})
    ours = vars(load())
    assert all(ours[name] == value for name, value in block.items() if isinstance(value, (int, float, tuple)))


@pytest.mark.parametrize("sizes", [(16,), [8, 4], ()])
def test_options_edits_and_a_new_hyperparameter_arrive_and_are_logged(tmp_path, monkeypatch, sizes):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    source = edited(steps_per_epoch=40, epochs=1, hidden_sizes=sizes, gif=False, gamma=1)
    source = source.replace("\nseed = 0", "\na_new_one = 0.01\nseed = 0", 1)
    source = source.replace('hyperparameters = """', 'hyperparameters = """a_new_one ', 1)
    names = run_here("--gamma", 0.75, "--a-new-one=0", "--output-dir=~/a/b", source=source).names
    expected = {"steps_per_epoch": 40, "gamma": 0.75, "hidden_sizes": sizes, "a_new_one": 0.0, "lam": 0.97}
    expected |= {"output_dir": f"{tmp_path}/a/b", "gif": False}
    assert {name: names[name] for name in expected} == expected
    assert [layer.units for layer in names["actor"].layers[1:]] == [*sizes, 2]
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == FILES
    log = ast.literal_eval(helpers.logged(tmp_path / "a" / "b")["hyperparameters"][0][1].decode())
    assert {name: log[name] for name in expected} == expected
    options = re.findall(r"^  --([\w-]+)", run_here("--help", source=source).output, re.M)
    assert {option.replace("-", "_") for option in options} == set(log)


def test_importing_writes_nothing_and_main_then_does_the_job(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["another.py", "--epochs", "0"])  # not for it
    ppo = load(gif=False)
    assert (ppo.env.spec.id, ppo.epochs, list(tmp_path.iterdir())) == ("CartPole-v0", 20, [])
    ppo.save_networks()
    ppo.epochs = 1
    ppo.main()
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == FILES
    assert len(averages(capsys.readouterr().out.splitlines())) == 1


# Versions that save broken GIFs or fail obscurely (gym's last is what most people have); and some that do.
REFUSED = "numpy-2.0.0 keras-3.0.0 gym-0.26.2 gym-0.19.0 pyglet-2.0.0 imageio-2.28.0 Pillow-10.1.0".split()
TAKEN = "gym-0.21.0 pyglet-1.5.31 Pillow-10.0.1 imageio-2.27.0 keras-2.15.0".split()


@pytest.mark.parametrize("package", [*REFUSED, *TAKEN])
def test_a_package_that_will_not_do_is_named(tmp_path, monkeypatch, package):
    name, version = package.split("-")
    (tmp_path / f"{package}.dist-info").mkdir()
    (tmp_path / f"{package}.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    monkeypatch.syspath_prepend(tmp_path)
    if package in TAKEN:
        assert run_here("--help").code == 0
    else:
        with pytest.raises(ImportError, match=f"found {name} {version}, wanted {name}"):
            run_here("--help")


@unix
def test_ctrl_c_ends_the_run_soon_and_loses_nothing(tmp_path):
    (tmp_path / "actor.h5").write_bytes(b"earlier")
    command = [sys.executable, SCRIPT, "--no-gif", "--epochs", "99", "--output-dir", tmp_path]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # A shell's background jobs ignore SIGINT, and so do their children.
    options["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, env=helpers.environment(), **options) as process:
        first = process.stdout.readline()
        (log,) = (tmp_path / "logs").rglob("events*")
        assert b"entropy" in log.read_bytes(), "not in the log while it runs"
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate()
    assert process.returncode == 130 and "Traceback" not in errors
    assert len(averages([first.strip(), *rest.splitlines()])) < 50, "lines are held back"
    assert {path.name for path in tmp_path.iterdir()} == {"actor.h5", "logs"}
    assert (tmp_path / "actor.h5").read_bytes() == b"earlier"


def test_two_runs_in_one_folder_leave_whole_files_and_a_log_each(tmp_path):
    """On consoles that know no Chinese."""
    folder, ascii_console = tmp_path / "输出", helpers.environment(PYTHONIOENCODING="ascii")
    command = [sys.executable, SCRIPT, *TINY, "--output-dir", folder]
    runs = [subprocess.Popen(command, env=ascii_console, stdout=subprocess.PIPE) for _ in range(2)]
    assert all(rb"\u5b8c\u6210\u7b2c 2 " in run.communicate()[0] and run.returncode == 0 for run in runs)
    assert {path.name for path in folder.iterdir()} == FILES | GIFS
    assert all(len(helpers.decode(folder / name)) > 20 for name in GIFS)
    assert len(list((folder / "logs").iterdir())) == 2


@unix
def test_a_full_disk_leaves_the_earlier_networks(tmp_path):
    import resource

    (tmp_path / "actor.h5").write_bytes(b"earlier")
    limit = resource.RLIMIT_FSIZE, (25_000, 25_000)  # the bytes that a file may have: too few for a network
    options = *TINY, "--no-gif", "--output-dir", tmp_path  # and so it needs no display
    no_display = {"DISPLAY": "nowhere"}
    process = python(SCRIPT, *options, env=no_display, preexec_fn=lambda: resource.setrlimit(*limit))
    assert process.returncode == 1 and len(averages(process.stdout.splitlines())) == 2
    assert "Traceback" not in process.stderr and re.fullmatch(ERROR, process.stderr.splitlines()[-1])
    assert {path.name for path in tmp_path.iterdir()} == {"actor.h5", "logs"}
    assert (tmp_path / "actor.h5").read_bytes() == b"earlier"


def test_networks_that_are_not_finite_are_not_saved(tmp_path):
    options = "--epochs 1 --steps-per-epoch 50 --no-gif --value-function-learning-rate 1e30".split()
    code = run_here(*options, "--output-dir", tmp_path).code
    assert code.startswith("ppo_cartpole.py: error: training broke down in epoch 1: ")
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


@unix
def test_where_nothing_can_be_drawn_one_line_says_what_to_do(tmp_path):
    process = python(SCRIPT, "--render", "--no-gif", cwd=tmp_path, env={"DISPLAY": ""})
    assert process.returncode == 1 and process.stdout == "" and re.fullmatch(ERROR, process.stderr)
    assert "cannot draw: Cannot connect" in process.stderr and "--no-gif" in process.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_readers_own_mistakes_are_shown_as_what_they_are(tmp_path):
    heading = "observation_dimensions = env"
    wrapped = f"env.render = lambda mode: env.rendr(mode)\n{heading}"
    with pytest.raises(AttributeError, match="rendr"):
        run_here(*TINY, "--output-dir", tmp_path, source=SOURCE.replace(heading, wrapped, 1))
    source = SOURCE.replace("reward, done, _ = env.step(action[0])", "reward, dnoe, _ = env.step(action[0])")
    with pytest.raises(tf.errors.OpError) as error:
        run_here(*TINY, "--no-gif", "--output-dir", tmp_path, source=source)
    assert re.search(r'ppo_cartpole.py", line \d+, in step\n(.*\n)+NameError: name .done.', str(error.value))
