"""Make .venv: Python 3.10 or 3.11 with the packages of requirements.txt · 建立 .venv，安装所需的包."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT, VERSIONS, WINDOWS = Path(os.path.abspath(__file__)).parent, ["3.10", "3.11"], os.name == "nt"
VENV = ROOT / ".venv"
MARK = VENV / "made-by-setup.txt"  # empty until all is installed, then what the lists said

# Asked of a Python; where there is no TensorFlow (32 bits, Windows's "ARM64") it does not answer. A venv's is
# not the base interpreter, but a copy of it on Windows, a link elsewhere.
QUESTION = """import ensurepip, json, os, platform, ssl, sys
sys.maxsize > 2**32 and platform.machine() in ['x86_64', 'AMD64', 'aarch64', 'arm64'] or sys.exit()
base = sys._base_executable if os.name == 'nt' else os.path.realpath(sys.executable)
print(json.dumps(['%d.%d' % sys.version_info[:2], base]))"""

# What can go wrong, and what to do then: in Chinese, then in English.
NO_PACKAGES = """pip 没有装上，原因见上面几行。请检查网络（可用 PIP_INDEX_URL 指定镜像）和磁盘（需要 2 GB）
pip could not install, as said above. Check the network (PIP_INDEX_URL names a mirror) and the disk (2 GB)"""
NO_PYTHON = """没有可用的 64 位 Python 3.10 或 3.11，也下载不到。请安装一个（32 位、Windows ARM64 都不行）
no 64-bit Python 3.10 or 3.11, and none to fetch. Install one (neither 32-bit nor Windows ARM64 will do)"""
NO_VENV = """这个 Python 不能建立环境。Debian、Ubuntu 请运行 apt-get install python3-venv
this Python cannot make environments. Debian, Ubuntu: apt-get install python3-venv"""
NO_CHANGE = """.venv 无法建立或改动，原因见上。请检查磁盘（2 GB）、权限、路径，结束正在用它的程序，再运行一次
.venv cannot be changed, as said above. Check the disk (2 GB), rights and path, end what uses it, retry"""
NOT_OURS = """.venv 不是 .setup.py 建立的，或不是 --python 要的版本，没有动它。请先把它改名或删除
.venv was not made by .setup.py, or not with that --python, and is left alone. Rename or delete it first"""
OWN_PYTHON = """.venv 必须重建，而现在运行的正是它的 Python。请新开一个终端，运行 py .setup.py
.venv must be made anew, but its own Python is running. Open a new terminal and run py .setup.py"""
TOO_LONG = """文件夹的路径太长，放不下 TensorFlow（Windows 限 260 个字符）。请移到 C:\\ppo 这样的短路径
the folder's path is too long for TensorFlow: Windows allows 260 characters. Move it to one such as C:\\ppo"""


def fail(reason):
    """End with what to do, a line in each language."""
    chinese, english = reason.split("\n")
    sys.exit(f"安装失败：{chinese}。详见 README.md\nSet-up failed: {english}. More in README.md")


def run_or_fail(reason, *command):
    """Run a command; where it fails, give the reason."""
    if subprocess.run(command).returncode:
        fail(reason)


def program(environment, name):
    """A program's whole path: a relative one, or one without .exe, Windows may not find."""
    return ROOT / environment / (f"Scripts/{name}.exe" if WINDOWS else f"bin/{name}")


def examine(*command):
    """The version and the base interpreter of a Python that will do; else None twice."""
    try:
        return json.loads(subprocess.run([*command, "-c", QUESTION], capture_output=True).stdout)
    except (OSError, ValueError):  # there is no such command, or no answer
        return None, None


def find_python(versions):
    """The base interpreter of a Python at hand, the first version first; else of one that uv fetches."""
    for version in versions:
        os.environ["PYENV_VERSION"] = version  # pyenv's python3.10 refuses unless it is chosen
        name = f"python{version}.exe" if WINDOWS else f"python{version}"
        for command in [sys.executable], [name], ["py", f"-{version}"]:
            found, base = examine(*command)
            if found == version:
                return base
    run_or_fail(NO_VENV, sys.executable, "-m", "venv", "--clear", ".uv")
    run_or_fail(NO_PACKAGES, program(".uv", "python"), "-m", "pip", "install", "uv==0.13.8")
    fetch = program(".uv", "uv"), "venv", "--managed-python", "--python", versions[0], ".uv/python"
    run_or_fail(NO_PYTHON, *fetch)  # managed: what is at hand will not do
    return examine(program(".uv/python", "python"))[1] or fail(NO_PYTHON)


def make_venv(versions):
    """Make .venv anew. The mark goes in first and stays, so that it is known as ours at any moment."""
    if VENV.resolve() in Path(sys.executable).resolve().parents:  # elsewhere than on Windows it is a link
        fail(OWN_PYTHON)
    VENV.mkdir(exist_ok=True)
    MARK.write_bytes(b"")
    if WINDOWS:
        try:  # as long a name as TensorFlow's longest: with long paths turned on it always can be
            (VENV / ("x" * 176)).touch()
        except OSError:
            fail(TOO_LONG)
    python = find_python(versions)
    print(f"建立 .venv，要下载 0.4 GB · Making .venv, 0.4 GB to fetch: {python}", file=sys.stderr, flush=True)
    for path in VENV.iterdir():
        if path != MARK:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    run_or_fail(NO_CHANGE, python, "-m", "venv", VENV)


def main():
    """Do what is missing; where nothing is, say nothing."""
    parser = argparse.ArgumentParser(description="Linux, macOS: python3 .setup.py. Windows: py .setup.py.")
    parser.add_argument("tests", nargs="?", choices=["tests"], help="install what the tests need, too")
    parser.add_argument("--python", choices=VERSIONS, help="this one, instead of 3.10 or else 3.11")
    options = parser.parse_args()
    os.chdir(ROOT)
    os.environ.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_QUIET="" if sys.stdout.isatty() else "1")
    os.environ["PYTHONPATH"] = ""  # pip would take what is there for installed
    versions = [options.python] if options.python else VERSIONS
    lists = ["requirements.txt", "tests/requirements.txt"][: 2 if options.tests else 1]
    wanted = [Path(path).read_bytes() for path in lists]
    pip = program(".venv", "python"), "-m", "pip", "install"

    found, _ = examine(pip[0])
    foreign = VENV.exists() and not MARK.exists() and any(VENV.iterdir())
    if foreign or found not in [None, *versions]:
        fail(NOT_OURS)
    installed = MARK.read_bytes() if found else b""
    if installed and all(text in installed for text in wanted):
        return
    if installed:  # the lists have changed: one that cannot be had must not cost what works
        run_or_fail(NO_PACKAGES, *pip, "-q", "--dry-run", "-r", lists[-1])
    else:
        make_venv(versions)
        run_or_fail(NO_PACKAGES, *pip, "pip==23.0.1", "setuptools==65.5.0", "wheel==0.38.4")  # for gym
    MARK.write_bytes(b"")
    run_or_fail(NO_PACKAGES, *pip, "-r", lists[-1])
    MARK.write_bytes(b"".join(wanted))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        print(error, file=sys.stderr)
        fail(NO_CHANGE)
