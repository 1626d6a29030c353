#!/bin/sh
# sh .setup.sh [FOLDER]: make .venv with Python 3.10, else 3.11, and what FOLDER/requirements.txt lists.
# PPO_PYTHON=3.11 asks for that version. With nothing changed since the last time it does nothing.
list=${1:-.}/requirements.txt
export PIP_DISABLE_PIP_VERSION_CHECK=1
[ -t 1 ] || quiet=-q

fail() {
    echo "Set-up failed: $1. More: README.md, Troubleshooting · 装不上或报错" >&2
    exit 1
}
network="pip could not install. Check the network (PIP_INDEX_URL names a mirror) and the disk (2 GB)"

# .venv is whole where the copies of the lists in it are: they are written last.
works() { .venv/bin/python -c "import sys; sys.exit('${PPO_PYTHON:-3.1}' not in sys.version[:4])"; }
ready() { works && cmp requirements.txt .venv/requirements.txt && cmp "$list" ".venv/$list"; }
ready >/dev/null 2>&1 && exit
[ -f "$list" ] || fail "there is no $list here"

exec 9>>.setup.sh # one set-up at a time: another waits here, until this one is over or was killed
python3 -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' || fail "no python3. apt-get install python3-venv"
if ! { works && [ -f .venv/requirements.txt ]; } >/dev/null 2>&1; then
    rm -rf .venv
    python3 -m venv --clear .uv || fail "python3 has no venv. apt-get install python3-venv"
    .uv/bin/python -m pip install -q uv==0.13.8 || fail "$network"
    # pyenv keeps its Pythons where no command finds them.
    for bin in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[01].*/bin; do PATH=$PATH:$bin; done
    for version in ${PPO_PYTHON:-3.10 3.11}; do
        .uv/bin/uv venv -q --no-python-downloads -p "$version" .venv 2>/dev/null && break
    done || .uv/bin/uv venv -p "${PPO_PYTHON:-3.10}" .venv ||
        fail "no Python 3.10 or 3.11, and none to fetch. Install one, or set UV_PYTHON_INSTALL_MIRROR"
    .venv/bin/python -c 'import sys; print("Python", sys.version.split()[0], "in", sys.base_prefix)'
    # gym 0.20 needs an old pip, which runs nowhere but in .venv.
    .uv/bin/python -m pip install -q pip==23.0.1 setuptools==65.5.0 wheel==0.38.4 \
        --target "$(echo .venv/lib/python3.1?/site-packages)" || fail "$network"
fi
rm -f .venv/requirements.txt
.venv/bin/python -m pip install ${quiet:+"$quiet"} -r "$list" || fail "$network"
mkdir -p ".venv/${1:-.}" && cp "$list" ".venv/$list" && cp requirements.txt .venv
