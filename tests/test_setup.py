"""The set-up: what it decides, by a table; and a real environment with one small package."""

import os
import re
import shutil
import subprocess
import sys
from importlib.machinery import SourceFileLoader

import pytest
from helpers import ROOT, python
from packaging.requirements import Requirement


@pytest.fixture
def setup(tmp_path):
    """The set-up as a module, in a folder of its own whose lists name one small package each."""
    shutil.copy(ROOT / ".setup.py", tmp_path / ".setup.py")
    (tmp_path / "requirements.txt").write_text("six == 1.17.0\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "requirements.txt").write_text("-r ../requirements.txt\niniconfig == 2.3.1\n")
    return SourceFileLoader("setup", str(tmp_path / ".setup.py")).load_module()


BEST = {  # what the running Python, one on the path or one of py has, and what is taken
    "running": {"running": "3.10", "python3.11": "3.11"},
    "python3.10": {"running": "3.11", "python3.10": "3.10"},
    "py -3.10": {"running": "", "py -3.10": "3.10", "python3.11": "3.11"},
    "py -3.11": {"running": "3.13", "python3.10": "3.12", "py -3.11": "3.11"},
}


def test_a_python_at_hand_is_taken_3_10_first(setup, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(sys, "executable", "running")
    monkeypatch.setenv("PYENV_VERSION", "3.8")
    for taken, pythons in BEST.items():
        setup.examine = lambda *command, pythons=pythons: pythons.get(" ".join(command))
        assert " ".join(setup.find_python(["3.10", "3.11"])) == taken


def test_what_a_python_must_have(setup):
    assert setup.examine(sys.executable) == "{}.{}".format(*sys.version_info)
    question = setup.QUESTION
    for lack in "sys.modules['_ctypes'] = None", "sys.maxsize = 2**31", "platform.machine = str":
        setup.QUESTION = f"import sys, platform; {lack}; exec({question!r})"
        assert setup.examine(sys.executable) == "", lack


def test_each_platform_has_one_tensorflow():
    lines = (ROOT / "requirements.txt").read_text("ascii").splitlines()  # ASCII: pip reads it in any locale
    pins = [Requirement(line) for line in lines if re.match("tensorflow(-cpu|-macos)? ", line)]
    for system in "linux x86_64", "linux aarch64", "darwin x86_64", "darwin arm64", "win32 AMD64":
        for version in "3.10", "3.11":
            here = dict(zip(("sys_platform", "platform_machine"), system.split()), python_version=version)
            assert sum(pin.marker.evaluate(here) for pin in pins) == 1


def test_a_real_environment(setup, tmp_path):
    """Made, healed, added to and left alone; a pip told to install elsewhere (target, user) does not."""
    for path in ".pip/pip.conf", "pip/pip.ini":  # where pip looks below the home, elsewhere and on Windows
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text("[global]\ntarget = /nowhere\n[install]\nuser = yes\n")
    own = dict.fromkeys(("HOME", "USERPROFILE"), str(tmp_path)) | {"PYTHONIOENCODING": "gbk"}

    def run(*arguments):
        process = python(tmp_path / ".setup.py", *arguments, env=own, text=False)
        return process.returncode, (process.stdout + process.stderr).decode("gbk")

    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "theirs").touch()
    assert run()[0] == 1 and "安装失败：.venv 不是" in run()[1] and "Set-up failed: .venv was" in run()[1]
    assert os.listdir(tmp_path / ".venv") == ["theirs"]
    (tmp_path / ".venv" / "theirs").rename(tmp_path / ".venv" / setup.MARK.name)  # half-made: an empty mark
    (tmp_path / ".venv" / "half a package").mkdir()
    for arguments, module in ((), "six"), (["tests"], "iniconfig"):
        assert run(*arguments)[0] == 0
        subprocess.run([setup.program(tmp_path / ".venv", "python"), "-c", f"import {module}"], check=True)
        assert run(*arguments) == (0, "")
    assert not (tmp_path / ".venv" / "half a package").exists()
