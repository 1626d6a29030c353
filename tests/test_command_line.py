"""The script as a user runs it: arguments, output, files, and what goes wrong."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import SCRIPT, run, run_here
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_training import averages

TINY = "--epochs", "2", "--steps-per-epoch", "60"
GIFS = {"未训练前的样子.gif", "训练后的样子.gif", "训练前后对比.gif"}


def rejected(ppo, capsys, *arguments):
    """The one line with which the arguments are refused."""
    with pytest.raises(SystemExit) as caught:
        ppo.read_hyperparameters(list(arguments))
    assert caught.value.code == 2
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1
    return output.err


BAD = {
    "steps_per_epoch": ["0", "-1", "2.5", "many", "1e3", "nan", "1000001"],
    "epochs": ["0", "-1", "2.5", "many"],
    "gamma": ["-0.1", "1.1", "nan", "inf", "high"],
    "clip_ratio": ["0", "1", "-1", "nan", "x"],
    "policy_learning_rate": ["0", "-1e-3", "nan", "inf", "x"],
    "value_function_learning_rate": ["0", "-1e-3", "nan", "inf", "x"],
    "train_policy_iterations": ["0", "-1", "0.5", "x"],
    "train_value_iterations": ["0", "-1", "0.5", "x"],
    "lam": ["-0.1", "1.1", "nan", "inf", "x"],
    "target_kl": ["0", "-1", "nan", "inf", "x"],
    "hidden_sizes": ["0", "64 0", "-3", "6.4", "x", "5000"],
    "seed": ["-1", "4294967296", "1.5", "x"],
}
PAIRS = [(name, value) for name, values in BAD.items() for value in values]


@pytest.mark.parametrize("name, value", PAIRS)
def test_bad_arguments_are_refused_in_one_line(ppo, capsys, tmp_path, name, value):
    option = "--" + name.replace("_", "-")
    values = value.split() if " " in value else []  # option=value, or -1e-3 looks like an option
    option += "" if values else f"={value}"
    line = rejected(ppo, capsys, "--output-dir", str(tmp_path), option, *values)
    assert re.match(rf"\S+: error: {name} must be ", line)
    assert value.split()[-1] in line


EDITED = [
    ("steps_per_epoch", 2.5),
    ("epochs", 0),
    ("epochs", "many"),
    ("gamma", None),
    ("gamma", 1.01),
    ("clip_ratio", float("nan")),
    ("hidden_sizes", ()),
    ("hidden_sizes", 64),
    ("hidden_sizes", (64, 0.5)),
    ("seed", -1),
    ("gif", "off"),
    ("gamma", 10**400),
    ("output_dir", ""),
]


@pytest.mark.parametrize("name, value", EDITED)
def test_bad_values_edited_into_the_file_are_refused_too(ppo, capsys, name, value):
    setattr(ppo, name, value)
    assert f"error: {name} must be " in rejected(ppo, capsys)


@pytest.mark.parametrize(
    "arguments", [["--unknown", "1"], ["--epoch", "3"], ["stray"], ["--hidden-sizes"], ["--seed"]]
)
def test_unknown_and_empty_options_are_refused(ppo, capsys, arguments):
    assert arguments[0] in rejected(ppo, capsys, *arguments)


def test_render_without_a_display_is_refused(ppo, capsys):
    ppo.has_display = False
    assert "render must be off where there is no display" in rejected(ppo, capsys, "--render")
    ppo.has_display = True
    assert ppo.read_hyperparameters(["--render"])["render"] is True


def test_good_arguments_arrive_with_their_types(ppo, tmp_path):
    text = "--steps-per-epoch 500 --gamma 1 --hidden-sizes 32 16 8 --seed 4294967295 --no-gif"
    values = ppo.read_hyperparameters([*text.split(), "--output-dir", str(tmp_path / "a" / "b")])
    expected = {"steps_per_epoch": 500, "gamma": 1.0, "hidden_sizes": [32, 16, 8]}
    expected |= {"seed": 4294967295, "gif": False, "render": False, "lam": 0.97, "epochs": 20}
    assert {name: values[name] for name in expected} == expected
    assert (tmp_path / "a" / "b").is_dir()
    assert set(values) == {name for name, _, _ in ppo.hyperparameters}


@pytest.mark.parametrize("folder", ["file", "file/below", "", "/proc/below", "nul\0"])
def test_folders_that_cannot_be_written_to_are_refused(ppo, capsys, tmp_path, folder):
    (tmp_path / "file").write_text("kept")
    folder = str(tmp_path / folder) if folder.startswith("file") else folder
    assert "output_dir must be a folder" in rejected(ppo, capsys, "--output-dir", folder)
    assert (tmp_path / "file").read_text() == "kept"


def test_help_lists_every_hyperparameter_with_meaning_and_default(ppo, capsys):
    with pytest.raises(SystemExit) as caught:
        ppo.read_hyperparameters(["--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert len(ppo.hyperparameters) == 15
    for name, meaning, must_be in ppo.hyperparameters:
        expected = f"{meaning}; {must_be} (default: {getattr(ppo, name)})"
        assert "--" + name.replace("_", "-") in text and (expected in text or name == "output_dir")


def test_the_process_ends_as_shells_expect_on_bad_arguments(tmp_path):
    process = run("--epochs", "0", cwd=tmp_path)
    assert process.returncode == 2 and process.stdout == ""
    assert process.stderr.count("\n") == 1 and process.stderr.startswith("ppo_cartpole.py: error: ")
    assert list(tmp_path.iterdir()) == []


def test_importing_trains_nothing_and_touches_no_file(tmp_path):
    code = "import ppo_cartpole as p; print(p.env, p.buffer.pointer, p.policy_optimizer.iterations)"
    command = [sys.executable, "-B", "-c", code, "--epochs", "0"]  # arguments are not its business
    process = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(SCRIPT.parent)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0 and "CartPole-v0" in process.stdout and process.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_run_leaves_what_it_should(default_run):
    assert {p.name for p in default_run.folder.iterdir()} == {
        "actor.keras",
        "critic.keras",
        "logs",
        *GIFS,
    }
    assert len(list((default_run.folder / "logs").iterdir())) == 1
    assert len(default_run.lines) == 23  # two recordings, 20 epochs, the comparison
    for name, line in zip(sorted(GIFS), sorted(default_run.lines[-2:] + default_run.lines[:1])):
        assert f"{name}: " in line
    assert "20/20" in default_run.process.stderr  # the progress bar
    assert "tensorflow" not in default_run.process.stderr.lower()


def test_the_log_opens_in_tensorboard(default_run):
    (folder,) = (default_run.folder / "logs").iterdir()
    log = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    values = {}
    for tag in log.Tags()["tensors"]:
        events = log.Tensors(tag)
        if tag == "hyperparameters":
            (text,) = (tf.make_ndarray(event.tensor_proto).item().decode() for event in events)
            assert "| gamma | 0.9 |" in text and "| hidden_sizes | [64, 64] |" in text
            continue
        assert [event.step for event in events] == list(range(1, 21))
        values[tag] = np.array([tf.make_ndarray(event.tensor_proto).item() for event in events])
    printed = averages(default_run.lines)
    np.testing.assert_allclose(values.pop("episodes/average reward"), printed, rtol=1e-6)
    np.testing.assert_allclose(values.pop("episodes/average length"), printed, rtol=1e-6)
    iterations, kl = values.pop("updates/policy iterations"), values.pop("updates/KL")
    assert np.all((iterations == 80) | (kl > 0.015))  # stopped only where the KL was too large
    assert np.all((1 <= iterations) & (iterations <= 80))
    entropy = values.pop("updates/entropy")
    assert np.all((0 < entropy) & (entropy <= np.log(2) + 1e-6)) and entropy[0] > 0.6
    assert np.all(values.pop("episodes/steps per second") > 0)
    assert np.all(values.pop("updates/value loss") > 0)
    assert np.all(
        values.pop("updates/policy loss") < 0.01
    )  # normalised advantages: 0 where nothing moved
    assert values == {}


def test_a_console_that_knows_only_ascii_and_a_folder_with_a_chinese_name(tmp_path):
    folder = tmp_path / "a folder" / "输出"
    process = run(*TINY, "--output-dir", folder, env={"PYTHONIOENCODING": "ascii"})
    assert process.returncode == 0
    assert GIFS < {p.name for p in folder.iterdir()}
    assert r"\u5b8c\u6210\u7b2c 1 " in process.stdout


def test_a_pipe_that_closes_early_ends_the_run_in_one_line(tmp_path):
    (tmp_path / "训练后的样子.gif").write_bytes(b"earlier")
    command = [sys.executable, SCRIPT, *TINY, "--output-dir", tmp_path, "--epochs", "99"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        error = process.stderr.read().decode()
    assert process.returncode == 1 and "Traceback" not in error
    assert error.endswith("error: stopped, because its output was closed\n")
    assert (tmp_path / "训练后的样子.gif").read_bytes() == b"earlier"


@pytest.mark.parametrize(
    "number, moment", [(signal.SIGINT, "importing"), (signal.SIGTERM, "training")]
)
def test_signals_end_the_run_quickly_and_lose_nothing(tmp_path, number, moment):
    (tmp_path / "训练后的样子.gif").write_bytes(b"earlier")
    command = [sys.executable, SCRIPT, "--no-gif", "--epochs", "999", "--output-dir", tmp_path]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        if moment == "training":
            process.stdout.readline()
        else:  # once the handlers stand (SIGTERM's is the second), long before TensorFlow does
            while not handles(process.pid, signal.SIGTERM):
                time.sleep(0.01)
        process.send_signal(number)
        started = time.monotonic()
        error = process.communicate()[1].decode()
    assert time.monotonic() - started < 3
    assert process.returncode == 128 + number
    assert error.endswith(f"ppo_cartpole.py: stopped by {number.name}\n")
    assert "Traceback" not in error
    assert {p.name for p in tmp_path.iterdir()} - {"logs"} == {"训练后的样子.gif"}
    assert (tmp_path / "训练后的样子.gif").read_bytes() == b"earlier"


def handles(pid, number):
    """Whether a process has set a handler of its own for the signal (Linux)."""
    mask = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())[1]
    return int(mask, 16) >> (number - 1) & 1


@pytest.mark.parametrize(
    "error", [ImportError('Library "GLU" not found.'), OSError("no EGL"), AssertionError()]
)
def test_where_nothing_can_be_drawn_one_line_says_what_to_install(ppo, tmp_path, error):
    def render(mode):
        raise error

    ppo.env.render = render
    try:
        with pytest.raises(RuntimeError) as caught:
            ppo.record_gif(tmp_path / "episode.gif")
    finally:
        del ppo.env.render
    text = str(caught.value)
    assert "\n" not in text and str(error) in text
    assert "libgl1 libglu1-mesa libegl1" in text and "--no-gif" in text
    assert list(tmp_path.iterdir()) == []


def test_no_gif_records_nothing_and_trains_the_same(tmp_path):
    with_gif = run_here(*TINY, "--output-dir", tmp_path / "with")
    without = run_here(*TINY, "--output-dir", tmp_path / "without", "--no-gif")
    lines = [line for line in with_gif.output.splitlines() if line.startswith("完成")]
    assert without.output.splitlines() == lines
    assert {p.name for p in (tmp_path / "without").iterdir()} == {
        "actor.keras",
        "critic.keras",
        "logs",
    }


def test_two_processes_with_one_seed_leave_the_same_files(tmp_path):
    one, two = (run(*TINY, "--output-dir", name, cwd=tmp_path) for name in ("one", "two"))
    assert one.returncode == 0
    assert one.stdout.replace("one/", "two/") == two.stdout
    for name in GIFS:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_error_while_running_is_one_line(tmp_path):
    blocked = tmp_path / "logs"
    blocked.write_text("in the way")
    process = run_here(*TINY, "--no-gif", "--output-dir", tmp_path)
    assert process.code.startswith("ppo_cartpole.py: error: ")
    assert blocked.read_text() == "in the way"
