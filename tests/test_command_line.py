"""The script as a user runs it: options, edits, files, and what goes wrong."""

import ast
import os
import re
import signal
import subprocess
import sys
import time
from unittest.mock import Mock

import helpers
import pytest
import tensorflow as tf
from helpers import ARTICLES_VALUES, DEFAULTS, FILES, GIFS, SCRIPT, SOURCE, averages, edited, python, run_here
from tqdm import tqdm

TINY = "--epochs", "2", "--steps-per-epoch", "60"
ERROR = r"ppo_cartpole.py: error: .+\n?"  # one line
unix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals, limits and locales")


def refused(*arguments, **edits):
    """The one line with which the arguments, or what stands in the file, are refused."""
    process = run_here(*arguments, source=edited(**edits))
    assert process.code == 2 and process.output == "" and re.fullmatch(ERROR, process.errors)
    return process.errors


BAD = """steps_per_epoch=0 epochs=0 gamma=-0.1 gamma=1.1 lam=nan lam=-1 train_policy_iterations=0
    train_value_iterations=-1 hidden_sizes=0 seed=-1 seed=4294967296 clip_ratio=0 target_kl=inf
    policy_learning_rate=-1e-3 value_function_learning_rate=1e39 lam=1.1 clip_ratio=inf
    train_value_iterations=0 policy_learning_rate=inf value_function_learning_rate=0 target_kl=0""".split()


@pytest.mark.parametrize("bad", BAD)
def test_bad_values_are_refused_in_one_line(bad):
    name, value = bad.split("=")
    assert f"error: {name} must be " in refused(f"--{name.replace('_', '-')}={value}")


def test_bad_arguments_and_edits_are_refused_in_one_line():
    assert refused("--epochs", "2.5") and refused("--hidden-sizes")
    assert refused("5", "--epochs", "1")  # 5 is no hidden layer
    for name, value in ("epochs", 2.5), ("gamma", 1.01), ("seed", -1):
        assert name in refused(**{name: value})


def test_a_folder_that_cannot_be_is_refused_in_one_line(tmp_path):
    (tmp_path / "a" / "actor.h5").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    for path in tmp_path / "file", tmp_path / "b" / "logs":
        path.write_text("kept")
    for folder, obstacle in ("file/o", "file"), ("b", "logs"), ("a", "actor.h5"):
        process = run_here(*TINY, "--no-gif", "--output-dir", tmp_path / folder)
        assert re.fullmatch(ERROR, process.code) and obstacle in process.code
    assert (tmp_path / "file").read_text() == "kept"


@unix
def test_any_folder_will_do_a_locale_without_the_names_will_not(tmp_path):
    folder = os.fsencode(tmp_path) + b"/o\xff"  # no UTF-8
    assert python(SCRIPT, *TINY, "--no-gif", "--output-dir", folder).returncode == 0
    assert set(os.listdir(folder)) == {name.encode() for name in FILES}
    ascii_only = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    process = python(SCRIPT, *TINY, "--output-dir", tmp_path / "o", env=ascii_only)
    assert process.returncode == 1 and re.fullmatch(ERROR, process.stderr), process.stderr


def test_the_articles_block_can_stand_in_place_of_ours(tmp_path):
    """A reader pastes the article's imports and hyperparameters over the section; options still work."""
    section = SOURCE[SOURCE.index("# ==== 超参数设置") : SOURCE.index("\nseed = ")]
    imports = re.findall(r"^(?:import|from) .*", section, re.M)
    assert len(imports) == 8  # as many as in the article
    values = [f"{name} = {value!r}" for name, value in ARTICLES_VALUES.items()]
    article = SOURCE.replace(section, "\n".join([*reversed(imports), *values, ""]))
    tiny = *TINY, "--no-gif", "--output-dir", tmp_path / "outputs", "--gamma", 0.5
    pasted, ours = run_here(*tiny, source=article), run_here(*tiny)
    assert pasted.code is None and pasted.output == ours.output
    assert {name: pasted.names[name] for name in DEFAULTS} == {name: ours.names[name] for name in DEFAULTS}


@pytest.mark.parametrize("sizes, layers", [((16,), [16]), (16, [16]), ((8, 4), [8, 4])])
def test_values_edited_into_the_file_are_used(tmp_path, sizes, layers):
    values = {"steps_per_epoch": 40, "epochs": 1, "hidden_sizes": sizes, "gif": False, "gamma": 1}
    names = run_here(source=edited(**values, output_dir=str(tmp_path / "o"))).names
    assert [layer.units for layer in names["actor"].layers[1:]] == [*layers, 2]
    assert len(names["buffer"].reward_buffer) == 40
    assert {path.name for path in (tmp_path / "o").iterdir()} == FILES


def test_good_arguments_arrive_with_their_types_and_are_logged(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    text = "--steps-per-epoch 50 --epochs 1 --gamma 1 --hidden-sizes 32 16 8 --seed 4294967295"
    process = run_here(*text.split(), "--no-gif", "--output-dir=~/a/b")
    expected = {"steps_per_epoch": 50, "gamma": 1.0, "hidden_sizes": [32, 16, 8], "epochs": 1, "gif": False}
    expected = ARTICLES_VALUES | expected | {"seed": 4294967295, "output_dir": f"{tmp_path}/a/b"}
    assert {name: process.names[name] for name in expected} == expected
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == FILES
    ((_, text),) = helpers.logged(tmp_path / "a" / "b")["hyperparameters"]
    assert ast.literal_eval(text.decode()) == expected


def test_help_says_of_every_option_what_it_does_and_its_default():
    text = " ".join(run_here("--help").output.split())
    for name, value in DEFAULTS.items():
        default = re.escape(str(list(value) if name == "hidden_sizes" else value))
        option = "--" + name.replace("_", "-")
        assert re.search(rf"{option}[ ,][^()]*[A-Za-z] \(default: {default}\)", text), name


def test_importing_writes_nothing_and_keeps_what_is_set(tmp_path):
    kept = "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "TF_ENABLE_ONEDNN_OPTS", "TF_CPP_MIN_LOG_LEVEL"
    code = f"import os, ppo_cartpole as p; print(p.env.spec.id, p.epochs, *map(os.environ.get, {kept}))"
    for own, expected in (dict(zip(kept, "3412", strict=True)), "3412"), ({}, "1203"):
        own["PYTHONPATH"] = str(SCRIPT.parent)
        process = python("-B", "-c", code, "--epochs", "0", cwd=tmp_path, env=own)  # arguments are not for it
        assert process.returncode == 0 and process.stdout.split() == ["CartPole-v0", "20", *expected]
    assert list(tmp_path.iterdir()) == []


def test_main_does_the_job_after_an_import_in_a_clean_folder(ppo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ppo.epochs, ppo.gif = 1, False
    ppo.main()
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == FILES
    assert len(averages(capsys.readouterr().out.splitlines())) == 1
    assert ast.literal_eval(helpers.logged("outputs")["hyperparameters"][0][1].decode())["epochs"] == 1


def test_where_no_log_can_be_made_it_trains_all_the_same(tmp_path, monkeypatch):
    error = tf.errors.FailedPreconditionError(None, None, "it is not a directory")
    monkeypatch.setattr(tf.summary, "create_file_writer", Mock(side_effect=error))
    process = run_here(*TINY, "--no-gif", "--output-dir", tmp_path)
    assert "no log: TensorFlow does not find" in process.output and "完成第 2 轮训练" in process.output
    assert (tmp_path / "actor.h5").exists()


def test_every_log_has_a_folder_of_its_own(ppo, tmp_path, monkeypatch):
    ppo.output_dir, real = str(tmp_path), time.strftime
    for second, pid in (0, 1), (0, 2), (1, 1):
        monkeypatch.setattr(time, "strftime", lambda form, second=second: real(form, time.gmtime(second)))
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        ppo.open_log()
    assert len(list((tmp_path / "logs").iterdir())) == 3


def run_with(packages, folder, monkeypatch):
    """Run the script where these versions of packages seem to be installed."""
    for package in packages.split():
        metadata = folder / f"{package}.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text("Name: {}\nVersion: {}\n".format(*package.split("-")))
    monkeypatch.syspath_prepend(folder)
    return run_here("--help")


# The nearest ones that were tried, and gym's last one, which most people have.
TOO_NEW_OR_OLD = """gym-0.26.2 gym-0.22.0 gym-0.19.0 pyglet-2.0.0 pyglet-1.5.14 Pillow-10.1.0 Pillow-7.2.0
    imageio-2.28.0 imageio-2.8.0 keras-3.0.0 keras-2.7.0""".split()


@pytest.mark.parametrize("package", TOO_NEW_OR_OLD)
def test_a_package_that_will_not_do_is_named_at_once(tmp_path, monkeypatch, package):
    process, (name, version) = run_with(package, tmp_path, monkeypatch), package.split("-")
    assert re.fullmatch(ERROR, process.code) and process.output == ""
    assert f"found {name} {version}, wanted >=" in process.code
    assert f"python -m pip install {'tensorflow' if name == 'keras' else name}" in process.code


OLDEST = "gym-0.20.0 pyglet-1.5.15 Pillow-8.2.0 imageio-2.9.0 keras-2.8.0"
NEWEST = "gym-0.21.0 pyglet-1.5.31 Pillow-10.0.1 imageio-2.27.0 keras-2.15.0"


@pytest.mark.parametrize("packages", [OLDEST, NEWEST])
def test_versions_that_do_are_taken(tmp_path, monkeypatch, packages):
    assert run_with(packages, tmp_path, monkeypatch).code == 0


@unix
def test_ctrl_c_ends_the_run_soon_and_loses_nothing(tmp_path):
    folder, output = tmp_path / "outputs", tmp_path / "output.txt"
    folder.mkdir()
    (folder / "训练后的样子.gif").write_bytes(b"earlier")
    command = [sys.executable, SCRIPT, "--no-gif", "--epochs", "9999", "--output-dir", folder]
    options = {"stdout": output.open("w"), "stderr": subprocess.PIPE, "text": True}
    # A shell's background jobs ignore SIGINT, and so do their children.
    options["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    with options["stdout"], subprocess.Popen(command, env=helpers.environment(), **options) as process:
        try:
            while not output.read_text().endswith("\n"):  # in the file while it runs
                assert process.poll() is None
                time.sleep(0.05)
            (log,) = (folder / "logs").rglob("events*")
            assert b"entropy" in log.read_bytes(), "not in the log while it runs"
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=120)  # 9999 epochs take far longer
        finally:
            process.kill()
    assert process.returncode == 130 and "Traceback" not in errors
    printed = averages(output.read_text().splitlines())
    assert 1 <= len(printed) < 50, "lines are held back"
    rewards = [value for _, value in helpers.logged(folder)["average reward"]]
    assert rewards[: len(printed)] == pytest.approx(printed)
    assert {path.name for path in folder.iterdir()} == {"logs", "训练后的样子.gif"}
    assert (folder / "训练后的样子.gif").read_bytes() == b"earlier"


def test_ctrl_c_leaves_an_interpreter_that_goes_on_alive(tmp_path, monkeypatch):
    handler, write = signal.getsignal(signal.SIGINT), Mock(side_effect=[None, None, KeyboardInterrupt])
    monkeypatch.setattr(tqdm, "write", write)  # as under `python -i`, or Jupyter's %run
    assert run_here(*TINY, "--epochs", 9, "--no-gif", "--output-dir", tmp_path).code == 130
    assert signal.getsignal(signal.SIGINT) is handler
    printed = averages(call.args[0] for call in write.call_args_list)
    rewards = [value for _, value in helpers.logged(tmp_path)["average reward"]]
    assert rewards == pytest.approx(printed), "an epoch that is printed is not in the log"


def test_two_runs_in_one_folder_leave_whole_files_and_a_log_each(tmp_path):
    command = [sys.executable, SCRIPT, *TINY, "--output-dir", tmp_path]
    quiet = {"env": helpers.environment(), "stdout": subprocess.DEVNULL}
    runs = [subprocess.Popen(command, **quiet) for _ in range(2)]
    assert [run.wait() for run in runs] == [0, 0]
    assert {path.name for path in tmp_path.iterdir()} == FILES | GIFS
    assert all(len(helpers.decode(tmp_path / name)) > 20 for name in GIFS)
    assert len(list((tmp_path / "logs").iterdir())) == 2


@unix
@pytest.mark.parametrize("size, epochs", [(25_000, 2), (100, 0)])  # too few bytes for a network; for the log
def test_a_full_disk_leaves_the_earlier_networks(tmp_path, size, epochs):
    import resource

    limit = resource.RLIMIT_FSIZE, (size, size)  # the bytes that a file may have
    networks = [tmp_path / "actor.h5", tmp_path / "critic.h5"]
    for network in networks:
        network.write_bytes(b"earlier")
    options = *TINY, "--no-gif", "--output-dir", tmp_path
    process = python(SCRIPT, *options, preexec_fn=lambda: resource.setrlimit(*limit))
    assert process.returncode == 1 and len(averages(process.stdout.splitlines())) == epochs
    assert "Traceback" not in process.stderr and re.fullmatch(ERROR, process.stderr.splitlines()[-1])
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert [network.read_bytes() for network in networks] == [b"earlier"] * 2


@unix
def test_where_nothing_can_be_drawn_one_line_says_what_to_do(tmp_path):
    for options, display in ((), "nowhere"), (("--render", "--no-gif"), ""):
        process = python(SCRIPT, *TINY, *options, cwd=tmp_path, env={"DISPLAY": display})
        assert process.returncode == 1 and process.stdout == "" and re.fullmatch(ERROR, process.stderr)
        assert "cannot draw the game: Cannot connect" in process.stderr and "--no-gif" in process.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("system", ["linux", "win32", "darwin"])
def test_the_cure_is_one_for_the_system(ppo, monkeypatch, system):
    from gym.envs.classic_control import rendering

    error = ImportError("gym's own advice")
    error.__context__ = ppo.pyglet.gl.ContextException("no OpenGL")
    monkeypatch.setattr(rendering, "Viewer", Mock(side_effect=error))
    monkeypatch.setattr(sys, "platform", system)
    cure, none = ("libgl1", "driver") if system == "linux" else ("driver", "apt")
    with pytest.raises(SystemExit, match=rf"cannot draw the game: no OpenGL \(.*{cure}.*--no-gif\)") as exit_:
        ppo.check_drawing()
    assert none not in exit_.value.code and "\n" not in exit_.value.code


def test_a_readers_own_mistake_is_shown_as_what_it_is(tmp_path):
    wrapped = "class Mine(gym.Wrapper):\n    def render(self, mode):\n        return self.envv.render(mode)\n"
    heading = "observation_dimensions = env"
    source = SOURCE.replace(heading, f"{wrapped}\nenv = Mine(env)\n{heading}", 1)
    with pytest.raises(AttributeError, match="envv"):
        run_here(*TINY, "--output-dir", tmp_path, source=source)


def test_no_gif_needs_no_display_and_trains_the_same(tmp_path):
    with_gif = run_here(*TINY, "--output-dir", tmp_path / "with").output.splitlines()
    options = *TINY, "--no-gif", "--output-dir", tmp_path / "without"
    own = {"DISPLAY": "nowhere", "PYTHONIOENCODING": "utf-8"}
    without = python(SCRIPT, *options, env=own, encoding="utf-8")
    assert averages(without.stdout.splitlines()) == averages(with_gif)
    assert {path.name for path in (tmp_path / "without").iterdir()} == FILES


def test_a_console_that_knows_only_ascii_does_not_end_the_run(tmp_path):
    process = python(SCRIPT, *TINY, "--output-dir", tmp_path / "a 输出", env={"PYTHONIOENCODING": "ascii"})
    assert process.returncode == 0 and r"\u5b8c\u6210\u7b2c 1 " in process.stdout
    assert {path.name for path in (tmp_path / "a 输出").iterdir()} == FILES | GIFS
