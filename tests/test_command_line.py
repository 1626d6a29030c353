"""The script as a user runs it: arguments, output, files, and what goes wrong."""

import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from conftest import SCRIPT, edit, run, run_here
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_training import averages

TINY = "--epochs", "2", "--steps-per-epoch", "60"
GIFS = {"未训练前的样子.gif", "训练后的样子.gif", "训练前后对比.gif"}


def rejected(*arguments, script=SCRIPT):
    """The one line with which the arguments, or what stands in the file, are refused."""
    process = run_here(*arguments, script=script)
    assert process.code == 2 and process.output == ""
    assert re.fullmatch(r"ppo_cartpole.py: error: .+\n", process.errors)
    return process.errors


BAD = {
    "steps_per_epoch": ["0", "-1", "2.5", "many", "1e3", "nan", "1000001"],
    "epochs": ["0", "-1", "2.5", "many"],
    "gamma": ["-0.1", "1.1", "nan", "inf", "high"],
    "clip_ratio": ["0", "1.5", "-1", "nan", "x"],
    "policy_learning_rate": ["0", "-1e-3", "nan", "inf", "1.5", "x"],
    "value_function_learning_rate": ["0", "-1e-3", "nan", "inf", "1.5", "x"],
    "train_policy_iterations": ["0", "-1", "0.5", "x"],
    "train_value_iterations": ["0", "-1", "0.5", "x"],
    "lam": ["-0.1", "1.1", "nan", "inf", "x"],
    "target_kl": ["0", "-1", "nan", "inf", "x"],
    "hidden_sizes": ["0", "64 0", "-3", "6.4", "x", "5000"],
    "seed": ["-1", "4294967296", "1.5", "x"],
}
PAIRS = [(name, value) for name, values in BAD.items() for value in values]


@pytest.mark.parametrize("name, value", PAIRS)
def test_bad_arguments_are_refused_in_one_line(name, value):
    option = "--" + name.replace("_", "-")
    values = value.split() if " " in value else []  # option=value, or -1e-3 looks like an option
    line = rejected(option + ("" if values else f"={value}"), *values)
    assert re.search(rf"argument {option}: must be (int|float), \S+ to \S+, not ", line)
    assert line.endswith(f" {value.split()[-1]}\n")


EDITED = [
    ("steps_per_epoch", 2.5),
    ("epochs", 0),
    ("epochs", "many"),
    ("gamma", None),
    ("gamma", 1.01),
    ("gamma", 10**400),
    ("clip_ratio", -0.2),
    ("hidden_sizes", ()),
    ("hidden_sizes", (64, 0.5)),
    ("hidden_sizes", "wide"),
    ("seed", -1),
    ("gif", "off"),
    ("render", 1),
]


@pytest.mark.parametrize("name, value", EDITED)
def test_bad_values_edited_into_the_file_are_refused_too(tmp_path, name, value):
    script = edit(tmp_path / "ppo_cartpole.py", **{name: value})
    assert name.replace("_", "-") in rejected(script=script)


def test_other_comments_leave_every_option_and_check_as_it_is(tmp_path):
    """A reader pastes the article's own lines over ours, comments and all."""
    source = SCRIPT.read_text("utf-8")
    source, count = re.subn(r"^(\w+ = [^#\n]+?) *#.*$", r"\1# 别的 ; 说明 #", source, flags=re.M)
    assert count >= 15
    script = tmp_path / "ppo_cartpole.py"
    script.write_text(source, "utf-8")
    tiny = *TINY, "--no-gif", "--output-dir", tmp_path / "outputs"
    settings = run_here(*tiny, "--gamma", 0.5, script=script).names["settings"]
    assert settings == run_here(*tiny, "--gamma", 0.5).names["settings"]
    script.write_text(source.replace("gamma = 0.90", "gamma = 1.95"), "utf-8")
    assert "gamma" in rejected(script=script)


def test_values_edited_into_the_file_are_used(tmp_path):
    sizes = {"steps_per_epoch": 40, "epochs": 1, "hidden_sizes": 16, "gif": False}
    script = edit(tmp_path / "ppo_cartpole.py", **sizes, output_dir=str(tmp_path / "outputs"))
    names = run_here(script=script).names
    assert names["hidden_sizes"] == [16] and len(names["buffer"].reward_buffer) == 40
    assert not set(GIFS) & {path.name for path in (tmp_path / "outputs").iterdir()}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--unknown", "1"], "unrecognized arguments: --unknown 1"),
        (["stray"], "unrecognized arguments: stray"),
        (["5", "--epochs", "1"], "unrecognized arguments: 5"),  # not a hidden layer
        (["--hidden-sizes"], "--hidden-sizes: expected at least one argument"),
        (["--seed"], "--seed: expected one argument"),
    ],
)
def test_unknown_and_empty_options_are_refused(arguments, message):
    assert message in rejected(*arguments)


def test_render_without_a_display_is_refused(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    assert "argument --render: there is no display" in rejected("--render")


def test_good_arguments_arrive_with_their_types(tmp_path):
    text = "--steps-per-epoch 50 --epochs 1 --gamma 1 --hidden-sizes 32 16 8 --seed 4294967295"
    folder = tmp_path / "a" / "b"
    names = run_here(*text.split(), "--no-gif", "--output-dir", folder).names
    expected = {"steps_per_epoch": 50, "gamma": 1.0, "hidden_sizes": [32, 16, 8]}
    expected |= {"seed": 4294967295, "gif": False, "render": False, "lam": 0.97, "epochs": 1}
    assert {name: names["settings"][name] for name in expected} == expected
    assert {name: names[name] for name in expected} == expected
    assert folder.is_dir()


@pytest.mark.parametrize("folder", ["file", "file/below", "/proc/below"])
def test_folders_that_cannot_be_written_to_are_refused(tmp_path, folder):
    (tmp_path / "file").write_text("kept")
    process = run_here("--no-gif", "--output-dir", tmp_path / folder)
    assert re.fullmatch(r"ppo_cartpole.py: error: .*(file|/proc/below).*", process.code)
    assert process.output == "" and (tmp_path / "file").read_text() == "kept"


def test_help_lists_every_hyperparameter_with_its_default(tmp_path):
    process = run_here("--help")
    assert process.code == 0
    text = " ".join(process.output.split())
    tiny = *TINY, "--no-gif", "--output-dir", tmp_path
    for name in run_here(*tiny).names["settings"]:
        (default,) = re.findall(rf"^{name} = (.*?)  #", SCRIPT.read_text("utf-8"), re.M)
        default = {"0.90": "0.9", "3e-4": "0.0003", '"outputs"': "outputs"}.get(default, default)
        option = "--" + name.replace("_", "-")
        assert re.search(rf"{option}[ ,].*?\(default: {re.escape(default)}\)", text), name


def test_the_process_ends_as_shells_expect_on_bad_arguments(tmp_path):
    process = run("--epochs", "0", cwd=tmp_path)
    assert process.returncode == 2 and process.stdout == ""
    assert process.stderr.count("\n") == 1 and process.stderr.startswith("ppo_cartpole.py: error: ")
    assert list(tmp_path.iterdir()) == []


def test_importing_trains_nothing_and_touches_no_file(tmp_path):
    code = """if True:
    import os, signal
    handler = signal.getsignal(signal.SIGINT)
    import ppo_cartpole as p
    print(p.env, p.buffer.pointer, signal.getsignal(signal.SIGINT) is handler)
    print(*(os.environ[f"TF_NUM_{kind}_THREADS"] for kind in ("INTEROP", "INTRAOP")))
    print(os.environ["CUDA_VISIBLE_DEVICES"])"""
    command = [sys.executable, "-B", "-c", code, "--epochs", "0"]  # arguments are not its business
    process = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(SCRIPT.parent), "TF_NUM_INTRAOP_THREADS": "2"},  # which stays
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0 and process.stderr == ""
    first, threads, gpu = process.stdout.splitlines()
    assert "CartPole-v0" in first and first.endswith(" 0 True")
    assert (threads, gpu) == ("1 2", "-1")
    assert list(tmp_path.iterdir()) == []


def test_a_run_leaves_what_it_should(default_run):
    assert {p.name for p in default_run.folder.iterdir()} == {
        "actor.keras",
        "critic.keras",
        "logs",
        *GIFS,
    }
    assert len(list((default_run.folder / "logs").iterdir())) == 1
    assert len(default_run.lines) == 22  # two recordings, 20 epochs
    assert "未训练前的样子.gif: " in default_run.lines[0]
    assert "训练后的样子.gif: " in default_run.lines[-1]
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
    np.testing.assert_allclose(values.pop("average reward"), printed, rtol=1e-6)
    iterations, kl = values.pop("policy iterations"), values.pop("KL")
    assert np.all((iterations == 80) | (kl > 0.015))  # stopped only where the KL was too large
    assert np.all((1 <= iterations) & (iterations <= 80))
    entropy = values.pop("entropy")
    assert np.all((0 < entropy) & (entropy < np.log(2) + 0.02)) and entropy[0] > 0.6
    assert np.all(values.pop("steps per second") > 0)
    assert np.all(values.pop("value loss") > 0)
    assert values == {}


def test_a_console_that_knows_only_ascii_and_a_folder_with_a_chinese_name(tmp_path):
    folder = tmp_path / "a folder" / "输出"
    process = run(*TINY, "--output-dir", folder, env={"PYTHONIOENCODING": "ascii"})
    assert process.returncode == 0
    assert GIFS < {p.name for p in folder.iterdir()}
    assert r"\u5b8c\u6210\u7b2c 1 " in process.stdout


def test_a_locale_that_cannot_spell_the_gifs_names_is_one_line(tmp_path):
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    process = run(*TINY, "--output-dir", tmp_path, env=locale)
    assert process.returncode == 1 and process.stdout == ""
    assert re.fullmatch(r"ppo_cartpole.py: error: 'ascii' codec can't .+\n", process.stderr)


@pytest.mark.parametrize("moment", ["importing", "training"])
def test_ctrl_c_ends_the_run_at_once_and_loses_nothing(tmp_path, moment):
    (tmp_path / "训练后的样子.gif").write_bytes(b"earlier")
    command = [sys.executable, SCRIPT, "--no-gif", "--epochs", "999", "--output-dir", tmp_path]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        if moment == "training":
            process.stdout.readline()
        else:  # TensorFlow alone takes longer
            time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        try:
            error = process.communicate(timeout=30)[1].decode()  # 999 epochs take far longer
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT  # which a shell shows as 130
    assert "Traceback" not in error
    assert {p.name for p in tmp_path.iterdir()} - {"logs"} == {"训练后的样子.gif"}
    assert (tmp_path / "训练后的样子.gif").read_bytes() == b"earlier"


def test_where_nothing_can_be_drawn_one_line_says_what_to_do(tmp_path):
    process = run(*TINY, "--output-dir", tmp_path / "outputs", env={"DISPLAY": ":77"})
    assert process.returncode == 1 and process.stdout == ""
    assert re.fullmatch(
        r"ppo_cartpole.py: error: cannot draw the game: .*connect.* libgl1 libglu1-mesa libegl1, "
        r"or unset DISPLAY, or use --no-gif\)\n",
        process.stderr,
    )
    assert list(tmp_path.iterdir()) == []
    cure = run(*TINY, "--no-gif", "--output-dir", tmp_path / "outputs", env={"DISPLAY": ":77"})
    assert cure.returncode == 0


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
