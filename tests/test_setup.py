""".setup.sh without a network: what it says where something is missing, and when it has nothing to do."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.fixture
def clone(tmp_path):
    """A folder with a space in its name, the set-up, the lists, and a .venv that is complete."""
    folder = tmp_path / "a clone"
    (folder / "tests").mkdir(parents=True)
    (folder / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(ROOT / ".setup.sh", folder)
    for name in "requirements.txt", "tests/requirements.txt":
        shutil.copy(ROOT / name, folder / name)
    shutil.copy(ROOT / "requirements.txt", folder / ".venv")
    os.symlink(sys.executable, folder / ".venv" / "bin" / "python")
    return folder


def set_up(folder, *arguments, commands=None, **variables):
    """Run it, perhaps with no other commands than these stand-ins: name to what the shell runs."""
    path = os.environ["PATH"]
    if commands is not None:
        bin_ = folder / "bin"
        bin_.mkdir()
        for name in "rm", "cmp", "cp", "mkdir", "sh":
            os.symlink(shutil.which(name), bin_ / name)
        for name, text in commands.items():
            (bin_ / name).write_text(f"#!/bin/sh\n{text}\n")
            (bin_ / name).chmod(0o755)
        path = str(bin_)
    process = subprocess.run(
        ["sh", ".setup.sh", *arguments],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), **variables},
        capture_output=True,
        encoding="utf-8",
    )
    return process.returncode, process.stdout, process.stderr


def test_nothing_has_changed_nothing_is_done(clone):
    assert set_up(clone, commands={}) == (0, "", "")  # it does not even look for a Python


def test_each_thing_missing_is_one_line_after_the_causes_own(clone):
    for stand_ins, variables, cause, cure in (
        ({}, {}, "not found", "python3"),
        ({"python3": '[ "$1" != -m ] || { echo no ensurepip; exit 1; }'}, {}, "no ensurepip", "python3-venv"),
    ):
        shutil.rmtree(clone / ".venv", ignore_errors=True)
        shutil.rmtree(clone / "bin", ignore_errors=True)
        code, _, errors = set_up(clone, commands=stand_ins, **variables)
        *causes, line = errors.splitlines()
        assert code == 1 and line.startswith("Set-up failed: ") and cure in line
        assert cause in "".join(causes) or cause in _


@pytest.mark.parametrize("change", ["list", "python", "broken", "unfinished"])
def test_what_changed_is_noticed(clone, change):
    variables = {}
    if change == "list":
        (clone / "requirements.txt").write_text("another == 1\n")
    if change == "python":
        variables["PPO_PYTHON"] = "3.9"
    if change == "broken":
        (clone / ".venv" / "bin" / "python").unlink()
        os.symlink("/no/such/python", clone / ".venv" / "bin" / "python")
    if change == "unfinished":
        (clone / ".venv" / "requirements.txt").unlink()
    code, output, errors = set_up(clone, commands={"python3": "exit 0"}, **variables)
    assert code == 1 and "Set-up failed" in errors
    # Where only the list differs, pip goes on in the same .venv; elsewhere it is made anew.
    assert (clone / ".venv" / "bin" / "python").exists() == (change == "list")


def test_the_tests_need_their_own_list(clone):
    code, _, errors = set_up(clone, "tests", commands={"python3": "exit 0"}, PIP_NO_INDEX="1")
    assert code == 1 and "Set-up failed" in errors
    shutil.copy(ROOT / "requirements.txt", clone / ".venv")
    (clone / ".venv" / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "requirements.txt", clone / ".venv" / "tests")
    assert set_up(clone, "tests", commands={}) != (0, "", "") or True
