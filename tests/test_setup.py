""".setup.sh without a network, Pythons and pips replaced by stand-ins: what it runs, skips and says."""

import os
import shutil
import subprocess

import pytest
from conftest import ROOT

# A python that writes down what it is asked for, and agrees with everything.
PYTHON = '#!/bin/sh\necho "${0##*/a clone/} $*" >> log\n'
VENV = "mkdir -p .uv/bin; cp bin/python3 .uv/bin/python; "
UV = "cp bin/uv .uv/bin/uv; "


@pytest.fixture
def clone(tmp_path):
    """A clone in a folder with a space in its name, with a .venv that is whole, for training only."""
    folder = tmp_path / "a clone"
    for name in "tests", ".venv/bin", "bin":
        (folder / name).mkdir(parents=True)
    for name in ".setup.sh", "requirements.txt", "tests/requirements.txt":
        shutil.copy(ROOT / name, folder / name)
    shutil.copy(ROOT / "requirements.txt", folder / ".venv")
    write(folder / ".venv" / "bin" / "python", PYTHON)
    for name in "rm", "cmp", "cp", "mkdir":
        os.symlink(shutil.which(name), folder / "bin" / name)
    return folder


def write(path, text):
    path.write_text(text)
    path.chmod(0o755)


def set_up(folder, *arguments, **variables):
    """Run it with no commands but those in bin; return exit code, output and what pythons were asked."""
    (folder / "log").unlink(missing_ok=True)
    process = subprocess.run(
        [shutil.which("sh"), ".setup.sh", *arguments],
        cwd=folder,
        env={"PATH": str(folder / "bin"), "HOME": str(folder), **variables},
        capture_output=True,
        encoding="utf-8",
    )
    log = (folder / "log").read_text() if (folder / "log").exists() else ""
    return process.returncode, process.stdout + process.stderr, log


def test_where_nothing_has_changed_nothing_is_done(clone):
    code, output, log = set_up(clone)
    assert (code, output) == (0, "") and "pip" not in log


def test_another_list_is_installed_into_the_same_environment_and_remembered(clone):
    write(clone / "bin" / "python3", PYTHON)
    code, output, log = set_up(clone, "tests")
    assert (code, output) == (0, "") and "-m pip install -r tests/requirements.txt" in log
    assert "venv" not in log.replace(".venv", "")
    for arguments in ("tests",), ():
        assert "pip" not in set_up(clone, *arguments)[2]
    (clone / "requirements.txt").write_text("another == 1\n")
    assert "-m pip install -r ./requirements.txt" in set_up(clone)[2]


@pytest.mark.parametrize("damage", ["unfinished", "broken", "another version", "none"])
def test_an_environment_that_is_not_whole_is_made_anew(clone, damage):
    (clone / ".venv" / "left over").touch()
    if damage == "unfinished":  # what a killed set-up leaves
        (clone / ".venv" / "requirements.txt").unlink()
    if damage in ("broken", "another version"):
        write(clone / ".venv" / "bin" / "python", "#!/bin/sh\nexit 1\n")
    if damage == "none":
        shutil.rmtree(clone / ".venv")
    new = "mkdir -p .venv/bin .venv/lib/python3.10/site-packages; cp bin/python3 .venv/bin/python"
    write(clone / "bin" / "uv", f'#!/bin/sh\necho "uv $*" >> log\n[ "$5" = 3.10 ] || exit 1\n{new}\n')
    write(clone / "bin" / "python3", f'{PYTHON}[ "$2" != venv ] || {{ {VENV}{UV}}}\n')
    code, output, log = set_up(clone)
    assert code == 0 and not (clone / ".venv" / "left over").exists(), output
    assert "uv venv -q --no-python-downloads -p 3.10 .venv" in log
    assert "pip==23.0.1" in log and "site-packages" in log
    assert "pip" not in set_up(clone)[2]


@pytest.mark.parametrize(
    "python, cause, line",
    [
        (None, "not found", "no python3. apt-get install python3-venv"),
        ('[ "$2" != venv ] || { echo no ensurepip; exit 1; }', "no ensurepip", "python3 has no venv."),
        (
            f'[ "$2" != pip ] || {{ echo no route; exit 1; }}\n[ "$2" != venv ] || {{ {VENV}}}',
            "no route",
            "pip",
        ),
        (f'[ "$2" != venv ] || {{ {VENV}{UV}}}', "none here", "no Python 3.10 or 3.11, and none to fetch."),
    ],
)
def test_what_is_missing_is_one_line_after_the_causes_own(clone, python, cause, line):
    shutil.rmtree(clone / ".venv")
    write(clone / "bin" / "uv", "#!/bin/sh\necho none here >&2\nexit 2\n")
    if python:
        write(clone / "bin" / "python3", f"{PYTHON}{python}\n")
    code, output, _ = set_up(clone)
    *causes, last = output.splitlines()
    assert code == 1 and last.startswith(f"Set-up failed: {line}") and "README.md" in last
    assert any(cause in text for text in causes)
    assert last.split(": ")[1].split(".")[0] in (ROOT / "README.md").read_text("utf-8")
