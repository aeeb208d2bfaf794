#!/usr/bin/env bash
# Runs the official SDKs against the gateway over emulated providers. Installs
# them from their registries, below target/sdk.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build -p leverframe
place="$(pwd)/target/sdk"
mkdir -p "$place"
server=

start() {
    target/debug/leverframe serve --emulated --script tests/sdk/script.json --config tests/sdk/leverframe.toml \
        --listen 127.0.0.1:0 2>"$place/serve.out" &
    server=$!
    address=
    for _ in $(seq 100); do
        address="$(sed -n 's/^leverframe listens on //p' "$place/serve.out")"
        [ -n "$address" ] && return
        sleep 0.1
    done
    cat "$place/serve.out" >&2
    exit 1
}

stop() {
    [ -z "$server" ] && return
    kill -INT "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}
trap stop EXIT

# Each runs against a gateway of its own: it remembers which keys and models failed.
check() {
    start
    "$@" "$address"
    stop
    ran=1
}

ran=0
if command -v python3 >/dev/null; then
    [ -d "$place/python" ] || python3 -m venv "$place/python"
    if "$place/python/bin/pip" install --quiet --disable-pip-version-check openai anthropic google-genai; then
        check "$place/python/bin/python" tests/sdk/check.py
    else
        echo "Skipping Python: its SDKs cannot be installed here." >&2
    fi
fi
if command -v npm >/dev/null; then
    mkdir -p "$place/node"
    cp tests/sdk/check.mjs "$place/node/"
    if npm install --silent --no-fund --no-audit --prefix "$place/node" openai @anthropic-ai/sdk @google/genai; then
        check node "$place/node/check.mjs"
    else
        echo "Skipping Node: its SDKs cannot be installed here." >&2
    fi
fi
[ "$ran" = 1 ] || { echo "Neither Python nor Node could be tried." >&2; exit 1; }
