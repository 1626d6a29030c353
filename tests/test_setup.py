"""What .setup.py decides, without a network: its commands are recorded instead of run."""

import os
import re
import shutil
import sys

import pytest
from conftest import ROOT, load

LISTS = "requirements.txt", "tests/requirements.txt"


class Machine:
    """A folder with the set-up, and the Pythons of a machine: {command: version}."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch = folder, monkeypatch
        self.pythons, self.commands, self.breaks = {}, [], None
        (folder / "tests").mkdir()
        for name in ".setup.py", *LISTS:
            shutil.copy(ROOT / name, folder / name)
        self.script = load(folder / ".setup.py")
        self.lock = self.script.lock  # which holds until the process ends
        self.script.run, self.script.runs, self.script.lock = self.run, self.runs, lambda: None
        self.python = f".venv/{self.script.BIN}/python"

    def runs(self, version, *command):
        """Stands in for the question which Python a command is."""
        return self.pythons.get(" ".join(map(str, command)).replace("\\", "/")) == version

    def run(self, reason, *command):
        """Stands in for a command; breaks off where told to, with an exception or, if None, a failure."""
        text = " ".join(map(str, command)).replace("\\", "/")
        self.commands.append(text)
        if self.breaks and self.breaks[0] in text:
            if self.breaks[1] is None:
                self.script.fail(reason)
            raise self.breaks[1]
        maker, _, made = text.partition(" -m venv ")
        if made == ".venv":
            self.pythons[self.python] = self.pythons.get(maker)
            (self.folder / ".venv" / "pyvenv.cfg").touch()

    def set_up(self, *arguments):
        """Run the set-up; return the commands it would have run, and the line it ended with."""
        self.commands, line = [], None
        self.monkeypatch.setattr(sys, "argv", [".setup.py", *arguments])
        os.chdir(self.folder / "tests")  # it works from any folder
        try:
            self.script.main()
        except SystemExit as exit_:
            line = exit_.code
        return self.commands, line


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with Python 3.10 that runs the set-up."""
    monkeypatch.chdir(tmp_path)
    for name in "PIP_QUIET", "PIP_DISABLE_PIP_VERSION_CHECK", "PYTHONPATH":
        monkeypatch.setenv(name, "")
    machine = Machine(tmp_path, monkeypatch)
    machine.pythons = {os.path.realpath(sys.executable): "3.10"}
    return machine


@pytest.mark.parametrize(
    "pythons, options, taken",
    [
        ({"running": "3.10", "python3.10": "3.10", "python3.11": "3.11"}, [], "running"),
        ({"running": "3.11", "python3.10": "3.10", "py -3.10": "3.10"}, [], "python3.10"),
        ({"running": "3.12", "py -3.10": "3.10", "py -3.11": "3.11"}, [], "py -3.10"),
        ({"running": "3.11", "py -3.11": "3.11"}, [], "running"),
        ({"running": "3.13", "python3.10": "3.12", "python3.11": "3.11"}, [], "python3.11"),
        ({"running": "3.10", "python3.11": "3.11"}, ["--python", "3.11"], "python3.11"),
    ],
)
def test_a_python_at_hand_is_taken_3_10_first(machine, pythons, options, taken):
    running = os.path.realpath(sys.executable)
    machine.pythons = {name.replace("running", running): version for name, version in pythons.items()}
    commands, line = machine.set_up(*options)
    assert line is None
    assert commands[0] == f"{taken.replace('running', running)} -m venv .venv"
    assert not any("uv" in command for command in commands)


@pytest.mark.parametrize("options, version", [([], "3.10"), (["--python", "3.11"], "3.11")])
def test_uv_fetches_a_python_only_where_none_is_at_hand(machine, options, version):
    machine.pythons = {os.path.realpath(sys.executable): "3.13"}
    commands, line = machine.set_up(*options)
    assert line is None
    assert re.fullmatch(r".* -m venv --clear \.uv", commands[0])
    assert re.fullmatch(r".* -m pip install uv==\S+", commands[1])
    assert re.fullmatch(rf".*/uv venv --python {version} \.uv/python", commands[2])
    assert ".uv/python" in commands[3] and commands[3].endswith(" -m venv .venv")


def test_which_python_a_command_is_is_asked_of_itself():
    script, own = load(ROOT / ".setup.py"), "{}.{}".format(*sys.version_info)
    assert script.runs(own, sys.executable)
    assert not script.runs("3.1", sys.executable) and not script.runs(f"{own}0", sys.executable)
    assert not script.runs(own, "no-such-python") and not script.runs(own, sys.executable, "-m", "no_such")


def test_what_is_whole_is_left_as_it_is_and_the_tests_list_is_added(machine):
    first, _ = machine.set_up()
    assert first[1:] == [
        f"{machine.python} -m pip install pip==23.0.1 setuptools==65.5.0 wheel==0.38.4",
        f"{machine.python} -m pip install -r requirements.txt",
    ]
    assert machine.set_up() == ([], None)
    second, _ = machine.set_up("tests")
    assert second[-1] == f"{machine.python} -m pip install -r tests/requirements.txt"
    assert not any("venv .venv" in command for command in second)
    assert machine.set_up("tests") == machine.set_up() == ([], None)
    with open("requirements.txt", "a") as file:
        file.write("another == 1.0\n")
    third, _ = machine.set_up()
    assert third[-1] == f"{machine.python} -m pip install -r requirements.txt"


@pytest.mark.parametrize("before", [None, [], ["tests"]])  # nothing, whole, whole with the tests' list
@pytest.mark.parametrize("moment", [" -m venv .venv", "install pip", "install -r", "rmtree"])
def test_killed_at_any_moment_it_heals(machine, monkeypatch, moment, before):
    if before is not None:
        machine.set_up(*before)
        (machine.folder / "requirements.txt").write_text("changed == 1.0")
        if moment != "install -r":  # the base Python is gone: all is made anew
            machine.pythons[machine.python] = None
    (machine.folder / ".venv").mkdir(exist_ok=True)
    machine.breaks = moment, KeyboardInterrupt()
    with monkeypatch.context() as patch:
        if moment == "rmtree":
            machine.breaks = " -m venv .venv", KeyboardInterrupt()
            patch.setattr(shutil, "rmtree", lambda path: machine.run("", f"{path} -m venv .venv"))
        with pytest.raises(KeyboardInterrupt):
            machine.set_up()
    (machine.folder / ".venv" / "half a package").mkdir()
    machine.breaks = None
    commands, line = machine.set_up()
    assert line is None and commands[0].endswith(" -m venv .venv") and "-r" in commands[-1]
    assert not (machine.folder / ".venv" / "half a package").exists()
    assert machine.set_up() == ([], None)


def test_a_list_that_cannot_be_had_costs_no_environment_that_works(machine):
    machine.set_up()
    machine.breaks = "--dry-run", None
    commands, line = machine.set_up("tests")
    assert len(commands) == 1 and line.startswith("Set-up failed: pip could not install. ")
    machine.breaks = None
    assert machine.set_up() == ([], None)


def test_an_environment_of_somebody_elses_is_left_alone(machine):
    (machine.folder / ".venv").mkdir()
    (machine.folder / ".venv" / "pyvenv.cfg").write_text("theirs")
    machine.pythons[machine.python] = "3.10"
    commands, line = machine.set_up()
    assert commands == [] and re.match(r"Set-up failed: \.venv was not made by \.setup\.py .*try again", line)
    assert [path.name for path in (machine.folder / ".venv").iterdir()] == ["pyvenv.cfg"]


@pytest.mark.parametrize("options, found", [(["--python", "3.11"], "3.10"), (["--python", "3.10"], "3.11")])
def test_another_version_is_left_alone(machine, options, found):
    machine.set_up()
    machine.pythons[machine.python] = found
    commands, line = machine.set_up(*options)
    assert commands == [] and f"Set-up failed: .venv has Python {found} and is left alone" in line
    assert machine.set_up() == ([], None)  # without a wish, either will do


@pytest.mark.parametrize(
    "moment, reason",
    [
        ("--clear .uv", "apt-get install python3-venv"),
        ("uv venv", "no Python 3.10"),
        (" -m venv .venv", "venv failed"),
        ("-r req", "PIP_INDEX"),
    ],
)
def test_where_something_is_missing_one_line_says_what_to_do(machine, moment, reason):
    if moment != "-r req":
        machine.pythons = {}
    machine.breaks = moment, None
    commands, line = machine.set_up()
    assert line.startswith("Set-up failed: ") and reason in line and "\n" not in line
    assert "README.md" in line


def test_programs_are_where_this_system_has_them(machine):
    assert os.path.isdir(os.path.join(sys.prefix, machine.script.BIN))


def test_two_at_once_do_not_work_in_the_same_folder(machine, monkeypatch):
    opened, open_ = [], os.open
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda *arguments: opened.append(open_(*arguments)) or opened[-1])
        machine.lock()  # a set-up under way
    assert [os.get_inheritable(file) for file in opened] == [True], "pip may outlive the set-up"
    machine.script.lock = machine.lock
    commands, line = machine.set_up()
    assert commands == [] and "another set-up is at work here" in line


def test_windows_locks_a_byte_that_nobody_reads(machine, monkeypatch):
    calls = []

    class Msvcrt:
        LK_NBLCK = 2

        @staticmethod
        def locking(file, mode, count):
            calls.append((os.lseek(file, 0, os.SEEK_CUR) > os.fstat(file).st_size, mode, count))

    machine.script.msvcrt = Msvcrt
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        machine.lock()
    assert calls == [(True, Msvcrt.LK_NBLCK, 1)]


def test_the_lists_are_ascii_which_pip_reads_in_every_locale():
    for name in LISTS:
        assert (ROOT / name).read_bytes().isascii(), name
