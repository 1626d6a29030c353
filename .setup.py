"""Make .venv: Python 3.10 or 3.11 with the packages of requirements.txt · 建立 .venv，安装所需的包."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

if os.name == "nt":
    import msvcrt
else:
    import fcntl

VERSIONS, BIN, VENV = ["3.10", "3.11"], "Scripts" if os.name == "nt" else "bin", Path(".venv")
MARK = VENV / "made-by-setup.txt"  # empty until all is installed, then what the lists said
NO_PACKAGES = "pip could not install. Check the network (PIP_INDEX_URL names a mirror) and the disk (2 GB)"
NO_PYTHON = "no Python 3.10 or 3.11, and none to fetch. Install one, or set UV_PYTHON_INSTALL_MIRROR"
NO_ROOM = "python -m venv failed. The lines above say why: the disk (2 GB), or the folder's name"
NO_VENV = "this Python cannot make environments. Debian, Ubuntu: apt-get install python3-venv"


def fail(reason):
    """End with one line that says what to do."""
    sys.exit(f"Set-up failed: {reason}. More in README.md: Troubleshooting, 装不上或报错")


def run(reason, *command):
    """Run a command; it inherits the lock, as it may outlive us. Where it fails, give the reason."""
    if subprocess.run([str(word) for word in command], close_fds=False).returncode:
        fail(reason)


def runs(version, *command):
    """Whether the command is that Python, and one that can make environments."""
    code = f"import ensurepip, ssl, sys; sys.exit('{version}' != '%d.%d' % sys.version_info[:2])"
    try:
        return not subprocess.run([*command, "-c", code], stderr=subprocess.DEVNULL).returncode
    except OSError:  # there is no such command
        return False


def lock():
    """Let no other set-up work here until this one, and all it has started, have ended."""
    file = os.open(".setup.py", os.O_RDONLY)
    os.lseek(file, 1 << 20, os.SEEK_SET)  # Windows lets nobody read what is locked: a byte beyond the end
    os.set_inheritable(file, True)
    try:
        if os.name == "nt":
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        fail("another set-up is at work here. Wait until it has ended, then try again")
    except OSError:  # this file system, a network's perhaps, has no locks
        pass


def find_python(versions):
    """The command of a Python that is at hand, the first version first; else of one that uv gets."""
    for version in versions:
        for command in [os.path.realpath(sys.executable)], [f"python{version}"], ["py", f"-{version}"]:
            if runs(version, *command):
                return command
    run(NO_VENV, sys.executable, "-m", "venv", "--clear", ".uv")
    run(NO_PACKAGES, f".uv/{BIN}/python", "-m", "pip", "install", "uv==0.13.8")
    run(NO_PYTHON, f".uv/{BIN}/uv", "venv", "--python", versions[0], ".uv/python")
    return [os.path.realpath(f".uv/python/{BIN}/python")]


def make_venv(versions):
    """Make .venv anew. The mark goes in first and stays, so that it is known as ours at any moment."""
    python = find_python(versions)
    print(f"Setting up .venv with {python[0]}: minutes, and 0.4 GB to fetch", file=sys.stderr)
    VENV.mkdir(exist_ok=True)
    MARK.write_bytes(b"")
    for path in VENV.iterdir():
        if path != MARK:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    run(NO_ROOM, *python, "-m", "venv", VENV)


def main():
    """Do what is missing; where nothing is, say nothing."""
    parser = argparse.ArgumentParser(description="Linux, macOS: python3 .setup.py. Windows: py .setup.py.")
    parser.add_argument("tests", nargs="?", choices=["tests"], help="install what the tests need, too")
    parser.add_argument("--python", choices=VERSIONS, help="this one, instead of 3.10 or else 3.11")
    options = parser.parse_args()
    os.chdir(Path(__file__).resolve().parent)
    os.environ.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_QUIET="" if sys.stdout.isatty() else "1")
    os.environ["PYTHONPATH"] = ""  # pip would take what is there for installed
    versions = [options.python] if options.python else VERSIONS
    lists = ["requirements.txt", "tests/requirements.txt"][: 2 if options.tests else 1]
    wanted = [Path(path).read_bytes() for path in lists]
    pip = VENV / BIN / "python", "-m", "pip", "install"

    lock()
    if VENV.exists() and not MARK.exists() and any(VENV.iterdir()):
        fail(".venv was not made by .setup.py and is left alone. Rename or delete it, then try again")
    works = [version for version in VERSIONS if runs(version, pip[0])]
    if works and works[0] not in versions:
        fail(f".venv has Python {works[0]} and is left alone. Delete it, then try again")
    installed = MARK.read_bytes() if works else b""
    if installed and all(text in installed for text in wanted):
        return
    if installed:  # the lists have changed: one that cannot be had must not cost what works
        run(NO_PACKAGES, *pip, "-q", "--dry-run", "-r", lists[-1])
    else:
        make_venv(versions)
        run(NO_PACKAGES, *pip, "pip==23.0.1", "setuptools==65.5.0", "wheel==0.38.4")  # gym needs old ones
    MARK.write_bytes(b"")
    run(NO_PACKAGES, *pip, "-r", lists[-1])
    MARK.write_bytes(b"".join(wanted))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        fail(error)
