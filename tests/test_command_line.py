"""The script as a user runs it: options, edits, files, and what goes wrong."""

import ast
import re
import signal
import subprocess
import sys

import pytest
from conftest import SCRIPT, edit, run, run_here

TINY = "--epochs", "2", "--steps-per-epoch", "60"
GIFS = {"未训练前的样子.gif", "训练后的样子.gif", "训练前后对比.gif"}


def rejected(*arguments, script=SCRIPT):
    """The one line with which the arguments, or what stands in the file, are refused."""
    process = run_here(*arguments, script=script)
    assert process.code == 2 and process.output == ""
    assert re.fullmatch(r"ppo_cartpole.py: error: .+\n", process.errors)
    return process.errors


# One of each kind: text, a fraction, 0, below and above the limits, not a number, nothing, unknown.
@pytest.mark.parametrize(
    "arguments, names",
    [
        ("--epochs many", "--epochs"),
        ("--steps-per-epoch 2.5", "--steps-per-epoch"),
        ("--steps-per-epoch 0", "steps"),
        ("--gamma=-0.1", "gamma"),
        ("--lam 1.1", "lam"),
        ("--lam=-0.1", "lam"),
        ("--train-policy-iterations 0", "iterations"),
        ("--train-value-iterations -1", "iterations"),
        ("--hidden-sizes 64 0", "hidden sizes"),
        ("--seed 4294967296", "seed"),
        ("--seed=-1", "seed"),
        ("--gamma 1.1", "gamma"),
        ("--lam nan", "lam"),
        ("--clip-ratio 0", "clip_ratio"),
        ("--target-kl inf", "target_kl"),
        ("--policy-learning-rate=-1e-3", "learning rates"),
        ("--value-function-learning-rate nan", "learning rates"),
        ("--hidden-sizes", "--hidden-sizes: expected at least one argument"),
        ("--unknown 1", "unrecognized arguments: --unknown 1"),
        ("5 --epochs 1", "unrecognized arguments: 5"),  # not a hidden layer
    ],
)
def test_bad_arguments_are_refused_in_one_line(arguments, names):
    assert names in rejected(*arguments.split())


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("epochs", 2.5, "--epochs"),
        ("gamma", None, "--gamma"),
        ("gamma", 1.01, "gamma"),
        ("hidden_sizes", (64, 0), "hidden sizes"),
        ("seed", -1, "seed"),
    ],
)
def test_bad_values_edited_into_the_file_are_refused_too(tmp_path, name, value, message):
    assert message in rejected(script=edit(tmp_path / "ppo_cartpole.py", **{name: value}))


@pytest.mark.parametrize("folder", [None, "", "nul\0", "/proc/below"])
def test_a_folder_that_cannot_be_is_refused(tmp_path, folder):
    script = edit(tmp_path / "ppo_cartpole.py", output_dir=folder)
    assert "output_dir: " in rejected("--no-gif", script=script)


def test_a_folder_with_a_file_in_its_way_is_refused_and_the_file_kept(tmp_path):
    (tmp_path / "file").write_text("kept")
    assert "file" in rejected("--no-gif", "--output-dir", tmp_path / "file" / "below")
    (tmp_path / "logs").write_text("in the way")
    process = run_here(*TINY, "--no-gif", "--output-dir", tmp_path)
    assert re.fullmatch(r"ppo_cartpole.py: error: .+", process.code)
    (tmp_path / "logs").unlink()
    (tmp_path / "actor.h5").mkdir()
    assert "directory" in run_here(*TINY, "--no-gif", "--output-dir", tmp_path).code.lower()
    assert (tmp_path / "file").read_text() == "kept"


def test_a_bare_block_can_stand_in_place_of_ours(tmp_path):
    """A reader pastes the article's imports and hyperparameters over the section; options still work."""
    source = SCRIPT.read_text("utf-8")
    heading, section = re.search(r"(# ==== 超参数设置 .*?\n)(.*?)(?=# ==== )", source, re.S).groups()
    imports = re.findall(r"^(?:import|from) .*", section, re.M)
    values = re.findall(r"^\w+ = [^#\n]*", section, re.M)
    assert (len(imports), len(values)) == (8, 12)  # as many as in the article
    block = "\n".join([*reversed(imports), *(f"{value}# 别的 ; 说明 #" for value in values), ""])
    script = tmp_path / "ppo_cartpole.py"
    script.write_text(source.replace(heading + section, heading + block), "utf-8")
    tiny = *TINY, "--no-gif", "--output-dir", tmp_path / "outputs", "--gamma", 0.5
    pasted, ours = run_here(*tiny, script=script), run_here(*tiny)
    assert pasted.code is None and pasted.output == ours.output
    assert pasted.names["settings"] == ours.names["settings"]


def test_values_edited_into_the_file_are_used(tmp_path):
    sizes = {"steps_per_epoch": 40, "epochs": 1, "hidden_sizes": (16,), "gif": False, "gamma": 1}
    names = run_here(script=edit(tmp_path / "ppo_cartpole.py", **sizes, output_dir=str(tmp_path / "o"))).names
    assert names["hidden_sizes"] == (16,) and len(names["buffer"].reward_buffer) == 40
    assert not set(GIFS) & {path.name for path in (tmp_path / "o").iterdir()}


def test_good_arguments_arrive_with_their_types(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    text = "--steps-per-epoch 50 --epochs 1 --gamma 1 --hidden-sizes 32 16 8 --seed 4294967295"
    names = run_here(*text.split(), "--no-gif", "--output-dir=~/a/b").names
    expected = {"steps_per_epoch": 50, "gamma": 1.0, "hidden_sizes": [32, 16, 8]}
    expected |= {"seed": 4294967295, "gif": False, "render": False, "lam": 0.97, "epochs": 1}
    assert {name: names["settings"][name] for name in expected} == expected
    assert {name: names[name] for name in expected} == expected
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {"actor.h5", "critic.h5", "logs"}


def test_help_says_of_every_option_what_it_does_and_its_default(tmp_path):
    process = run_here("--help")
    assert process.code == 0
    text = " ".join(process.output.split())
    names = run_here(*TINY, "--no-gif", "--output-dir", tmp_path).names["settings"]
    for name in names:
        (default,) = re.findall(rf"^{name} = ([^#]*?)(?:  #.*)?$", SCRIPT.read_text("utf-8"), re.M)
        default = re.escape(str(ast.literal_eval(default)))
        option = "--" + name.replace("_", "-")
        assert re.search(rf"{option}[ ,][^()]*[A-Za-z] \(default: {default}\)", text), name


def test_importing_trains_nothing_touches_no_file_and_keeps_what_is_set(tmp_path):
    code = """import os, signal, ppo_cartpole as p
print(p.env.spec.id, p.buffer.pointer, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
print(*(os.environ[f"TF_NUM_{kind}_THREADS"] for kind in ("INTEROP", "INTRAOP")))
print(os.environ["CUDA_VISIBLE_DEVICES"])"""
    own = {"PYTHONPATH": str(SCRIPT.parent), "TF_NUM_INTRAOP_THREADS": "2"}  # which stays
    command = [sys.executable, "-B", "-c", code, "--epochs", "0"]  # arguments are not its business
    process = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True)
    assert process.returncode == 0 and process.stderr == ""
    assert process.stdout.splitlines() == ["CartPole-v0 0 True", "1 2", "-1"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ignored", [False, True])
def test_ctrl_c_ends_the_run_at_once_and_loses_nothing(tmp_path, ignored):
    (tmp_path / "训练后的样子.gif").write_bytes(b"earlier")
    epochs = "3" if ignored else "999"
    command = [sys.executable, SCRIPT, "--no-gif", "--epochs", epochs, "--output-dir", tmp_path]
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    signal.signal(signal.SIGINT, handler)
    with process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        try:
            error = process.communicate(timeout=60)[1].decode()  # 999 epochs take far longer
        finally:
            process.kill()
    assert process.returncode == (0 if ignored else -signal.SIGINT)  # which a shell shows as 130
    assert "Traceback" not in error
    kept = {"训练后的样子.gif", *(("actor.h5", "critic.h5") if ignored else ())}
    assert {p.name for p in tmp_path.iterdir()} - {"logs"} == kept
    assert (tmp_path / "训练后的样子.gif").read_bytes() == b"earlier"


def test_where_nothing_can_be_drawn_one_line_says_what_to_do(tmp_path):
    for arguments, display in ((), {"DISPLAY": ":77"}), (("--render", "--no-gif"), {"DISPLAY": ""}):
        process = run(*TINY, "--output-dir", tmp_path / "outputs", *arguments, env=display)
        assert process.returncode == 1 and process.stdout == ""
        assert re.fullmatch(
            r"ppo_cartpole.py: error: cannot draw the game: .*connect.* libgl1 libglu1-mesa libegl1, "
            r"or unset DISPLAY, or use --no-gif\)\n",
            process.stderr,
        )
    assert list(tmp_path.iterdir()) == []


def test_no_gif_records_nothing_needs_no_display_and_trains_the_same(tmp_path, monkeypatch):
    with_gif = run_here(*TINY, "--output-dir", tmp_path / "with")
    monkeypatch.setenv("DISPLAY", ":77")
    without = run_here(*TINY, "--output-dir", tmp_path / "without", "--no-gif")
    monkeypatch.undo()
    assert without.output.splitlines() == [x for x in with_gif.output.splitlines() if x[0] == "完"]
    assert {p.name for p in (tmp_path / "without").iterdir()} == {"actor.h5", "critic.h5", "logs"}
    # The same seed leaves the same files, also on a console that knows only ASCII.
    again = run(*TINY, "--output-dir", tmp_path / "a 输出", env={"PYTHONIOENCODING": "ascii"})
    assert again.returncode == 0 and r"\u5b8c\u6210\u7b2c 1 " in again.stdout
    for name in GIFS:
        assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "a 输出" / name).read_bytes()
