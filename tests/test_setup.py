"""What .setup.py decides, on Windows and elsewhere, without a network: its commands are recorded, not run."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import ROOT, load, python
from packaging.requirements import Requirement

LISTS, PYTHON = ("requirements.txt", "tests/requirements.txt"), ".venv/bin/python"
PINS = f"{PYTHON} -m pip install pip==23.0.1 setuptools==65.5.0 wheel==0.38.4"
PACKAGES, FOR_TESTS = (f"{PYTHON} -m pip install -r {name}" for name in LISTS)
NEVER = "no such command", None


class Machine:
    """A folder with the set-up, and the Pythons of a machine, {command: version}; "running" runs it."""

    def __init__(self, folder, windows):
        self.folder, self.venv, self.windows = folder, folder / ".venv", windows
        self.pythons, self.fetched, self.breaks = {"running": "3.10"}, "3.10", NEVER
        (folder / "tests").mkdir()
        for name in ".setup.py", *LISTS:
            shutil.copy(ROOT / name, folder / name)
        self.script = load(folder / ".setup.py")
        self.script.WINDOWS, self.script.subprocess = windows, SimpleNamespace(run=self.run)

    def run(self, command, capture_output=False):
        """Stands in for subprocess.run: answers a question, records all else, breaks off where told to."""
        first, text = str(command[0]), " ".join(map(str, command)).replace(sys.executable, "running")
        if first != sys.executable and not first.startswith("base of"):
            assert os.path.isabs(first) or not os.path.dirname(first), f"{first}: relative"
            assert first == "py" or first.endswith(".exe") == self.windows, f"{first}: not on this system"
        for old, new in (f"{self.folder}{os.sep}", ""), ("\\", "/"), ("Scripts/", "bin/"), (".exe", ""):
            text = text.replace(old, new)
        if capture_output:
            name = text.partition(" -c ")[0]
            if name not in self.pythons or name[:6] == "python" and name[6:] != os.environ["PYENV_VERSION"]:
                raise FileNotFoundError(name)
            version = self.pythons[name]  # or None: it will not do
            return SimpleNamespace(stdout=json.dumps([version, f"base of {name}"]) if version else b"")
        assert not os.environ.get("PYTHONPATH") and os.environ["PIP_QUIET"] == "1"
        self.commands.append(text)
        if self.breaks[0] in text and self.breaks[1]:
            raise self.breaks[1]
        if text.endswith(" -m venv .venv"):
            self.pythons[PYTHON] = self.pythons[text[len("base of ") : -len(" -m venv .venv")]]
            (self.venv / "pyvenv.cfg").touch()
        elif text.endswith(" .uv/python"):
            self.pythons[".uv/python/bin/python"] = self.fetched
        return SimpleNamespace(returncode=self.breaks[0] in text)

    def set_up(self, *arguments):
        """Run the set-up; return the commands it would have run, and the English line it ended with."""
        self.commands, sys.argv[1:], english = [], arguments, None
        os.chdir(self.folder / "tests")  # it works from any folder
        try:
            self.script.main()
        except SystemExit as exit_:
            chinese, english = exit_.code.split("\n")
            assert re.match("安装失败：.*[一-龥]{3}", chinese) and chinese.encode("gbk")
            assert re.match("Set-up failed: .* README.md$", english) and english.isascii()
        return self.commands, english


@pytest.fixture(params=[False, True], ids=["elsewhere", "windows"])
def machine(request, tmp_path, monkeypatch):
    """A machine with Python 3.10 that runs the set-up."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [".setup.py"])
    for name in "PIP_QUIET", "PIP_DISABLE_PIP_VERSION_CHECK", "PYTHONPATH", "PYENV_VERSION":
        monkeypatch.setenv(name, "the reader's")
    return Machine(tmp_path, request.param)


PYTHONS = [
    ("running", {"running": "3.10", "python3.10": "3.10", "python3.11": "3.11"}),
    ("python3.10", {"running": "3.11", "python3.10": "3.10", "py -3.10": "3.10"}),
    ("py -3.10", {"running": "3.12", "py -3.10": "3.10", "py -3.11": "3.11"}),
    ("python3.11", {"running": "3.13", "python3.10": "3.12", "python3.11": "3.11"}),
    ("py -3.11", {"running": None, "python3.10": None, "py -3.11": "3.11"}),
]


@pytest.mark.parametrize("taken, pythons", PYTHONS)
def test_a_python_at_hand_is_taken_3_10_first(machine, taken, pythons):
    machine.pythons = dict(pythons)
    assert machine.set_up() == ([f"base of {taken} -m venv .venv", PINS, PACKAGES], None)


def test_python_3_11_is_taken_where_it_is_asked_for(machine):
    machine.pythons["python3.11"] = "3.11"
    assert machine.set_up("--python", "3.11")[0][0] == "base of python3.11 -m venv .venv"
    assert machine.set_up() == ([], None)  # without a wish, either will do
    commands, line = machine.set_up("--python", "3.10")
    assert commands == [] and "not with that --python, and is left alone" in line
    assert machine.set_up("--python", "3.11") == ([], None)


@pytest.mark.parametrize("version, options", [("3.10", []), ("3.11", ["--python", "3.11"])])
def test_uv_fetches_a_python_where_none_is_at_hand(machine, version, options):
    machine.pythons, machine.fetched = {"running": "3.13", "python3.10": None}, None
    commands, line = machine.set_up(*options)
    assert commands[0] == "running -m venv --clear .uv"
    assert re.fullmatch(r"\.uv/bin/python -m pip install uv==\S+", commands[1])
    assert commands[2] == f".uv/bin/uv venv --managed-python --python {version} .uv/python"
    assert len(commands) == 3 and "no 64-bit Python" in line  # what it fetched will not do
    machine.fetched = version
    assert machine.set_up(*options)[0][3] == "base of .uv/python/bin/python -m venv .venv"


SYSTEMS = ["linux x86_64", "linux aarch64", "darwin x86_64", "darwin arm64", "win32 AMD64"]


@pytest.mark.parametrize("system", [*SYSTEMS, "win32 ARM64", "win32 AMD64 of 32 bits"])
def test_a_python_will_do_where_there_is_a_tensorflow(system):
    platform, machine, *bits = system.split()
    pretence = f"platform.machine, sys.maxsize = lambda: {machine!r}, 2 ** {31 if bits else 63} - 1"
    code = f"import ensurepip, json, platform, ssl, sys; {pretence}; exec(sys.argv[-1])"
    version, _ = load(ROOT / ".setup.py").examine(sys.executable, "-c", code)
    assert (version is not None) == (system in SYSTEMS)
    pins = re.findall(r"^(tensorflow(?:-cpu|-macos)? ==.*)", (ROOT / LISTS[0]).read_text("utf-8"), re.M)
    for version in ["3.10", "3.11"] if system in SYSTEMS else []:
        here = {"python_version": version, "sys_platform": platform, "platform_machine": machine}
        assert sum(Requirement(pin).marker.evaluate(here) for pin in pins) == 1, version


def test_a_python_is_asked_itself_what_it_is():
    script = load(ROOT / ".setup.py")
    version, base = script.examine(script.program(sys.prefix, "python"))
    assert version == "{}.{}".format(*sys.version_info)
    subprocess.run([base, "-c", "import sys; assert sys.prefix == sys.base_prefix"], check=True)
    assert tuple(script.examine("no-such-python")) == (None, None)


def test_what_is_whole_is_left_and_a_new_list_added(machine):
    machine.set_up()
    assert machine.set_up() == ([], None)
    dry_run = FOR_TESTS.replace("-r", "-q --dry-run -r")
    machine.breaks = "--dry-run", None  # a list that cannot be had costs nothing
    commands, line = machine.set_up("tests")
    assert commands == [dry_run] and "PIP_INDEX_URL" in line
    assert machine.set_up() == ([], None)
    machine.breaks = NEVER
    assert machine.set_up("tests") == ([dry_run, FOR_TESTS], None)
    assert machine.set_up("tests") == machine.set_up() == ([], None)
    (machine.folder / "requirements.txt").write_text("changed == 1.0")
    assert machine.set_up()[0][-1] == PACKAGES


@pytest.mark.parametrize("before", [None, [], ["tests"]])  # nothing, whole, whole with the tests' list
@pytest.mark.parametrize("moment", [" -m venv .venv", "install pip", "install -r", "rmtree"])
def test_killed_at_any_moment_it_heals(machine, monkeypatch, moment, before):
    machine.venv.mkdir()
    if before is not None:
        machine.set_up(*before)
        (machine.folder / "requirements.txt").write_text("changed == 1.0")
        if moment != "install -r":  # the base Python is gone: all is made anew
            machine.pythons[PYTHON] = None
        (machine.venv / "half a package").mkdir()
    machine.breaks = moment.replace("rmtree", " -m venv .venv"), KeyboardInterrupt()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if moment == "rmtree":
            patch.setattr(shutil, "rmtree", lambda path: machine.run(["py", "-m venv .venv"]))
        machine.set_up()
    (machine.venv / "half a package").mkdir(exist_ok=True)
    (machine.venv / "half a file").write_bytes(b"")
    machine.breaks = NEVER
    assert machine.set_up() == (["base of running -m venv .venv", PINS, PACKAGES], None)
    assert {path.name for path in machine.venv.iterdir()} == {"pyvenv.cfg", machine.script.MARK.name}
    assert machine.set_up() == ([], None)


def test_somebody_elses_environment_is_left_alone(machine):
    machine.venv.mkdir()
    (machine.venv / "pyvenv.cfg").write_text("theirs")
    for machine.pythons[PYTHON] in "3.10", None:  # it may work or not
        commands, line = machine.set_up()
        assert commands == [] and ".venv was not made by .setup.py" in line
        assert [path.name for path in machine.venv.iterdir()] == ["pyvenv.cfg"]


def test_the_python_it_runs_on_is_never_removed(machine, monkeypatch):
    machine.set_up()
    own = machine.venv / "python.exe"  # a copy, as on Windows
    own.touch()
    monkeypatch.setattr(sys, "executable", str(own))
    assert machine.set_up() == ([], None)  # what is whole is not made anew
    machine.script.MARK.write_bytes(b"")
    commands, line = machine.set_up()
    assert commands == [] and "its own Python is running" in line and own.exists()


@pytest.mark.parametrize("room", [175, 176])  # characters below .venv; TensorFlow's longest file takes 176
def test_a_path_too_long_for_windows_is_told_first(machine, monkeypatch, room):
    def touch(path, real=Path.touch):
        if len(str(path)) > len(f"{machine.venv}/") + room:
            raise OSError("too long")
        real(path)

    monkeypatch.setattr(Path, "touch", touch)
    machine.pythons["running"] = "3.12"  # so that uv would have to fetch one
    commands, line = machine.set_up()
    assert (commands == [] and "C:\\ppo" in line) if machine.windows and room < 176 else line is None


REASONS = {"--clear .uv": "python3-venv", "install uv": "PIP_INDEX_URL", "uv venv": "no 64-bit Python"}
REASONS |= {"venv .venv": "cannot be changed", "install pip": "PIP_INDEX_URL", "install -r": "PIP_INDEX_URL"}


@pytest.mark.parametrize("moment", REASONS)
def test_where_something_is_missing_a_line_says_so(machine, moment):
    machine.pythons = {"running": "3.12" if "uv" in moment else "3.10"}
    machine.breaks = moment, None
    commands, line = machine.set_up("tests")
    assert moment in commands[-1] and REASONS[moment] in line


@pytest.mark.parametrize("encoding", ["gbk", "cp437", "ascii"])
def test_a_failure_can_be_printed_on_every_console(tmp_path, encoding):
    Machine(tmp_path, windows=False).venv.touch()  # a file is in its place
    process = python(tmp_path / ".setup.py", env={"PYTHONIOENCODING": encoding}, text=False)
    _, chinese, english = process.stderr.decode(encoding).splitlines()
    assert process.returncode == 1 and english.startswith("Set-up failed: .venv cannot be changed")
    assert ("安装失败：.venv 无法建立" in chinese) == (encoding == "gbk")


def test_the_lists_are_ascii_which_pip_reads_anywhere():
    for name in LISTS:
        assert (ROOT / name).read_bytes().isascii(), name
