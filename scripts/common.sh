# Sourced by every script of this folder: where things are, which versions are pinned, how to speak.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"

# One compiler for every run, so that lints and formatting do not change under a contributor's feet.
TOOLCHAIN=1.95.0
MSRV=1.90.0
NIGHTLY=nightly-2026-05-20
CARGO_DENY_VERSION=0.20.2
CARGO_FUZZ_VERSION=0.13.2
NO_STD_TARGET=thumbv7em-none-eabihf
WASM_TARGET=wasm32-unknown-unknown

# Crates that promise to build without std, and their features that do.
declare -A NO_STD_FEATURES=([uci-model]="" [coap-psk]="dtls,psk-dtls,tcp")
# Cores that promise to touch nothing outside themselves.
PURE_CRATES=(uci-model uci-server-core uci-client coap-psk provisioning-proto account-linking)

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
export RUSTUP_TOOLCHAIN=$TOOLCHAIN
GATE=$CARGO_TARGET_DIR/gate       # logs of the last run, one per part
TOOLS=$CARGO_TARGET_DIR/tools     # cargo tools, built once
VENV=$CARGO_TARGET_DIR/venv       # Python packages of the outside peers
NODE=$CARGO_TARGET_DIR/node       # Node packages of the outside peers
SKIPPED=77                        # exit status of a part that could not run

say() { printf '%s\n' "$*"; }

# Ends a part as skipped; the text says what was not run and why.
skip() {
    say "SKIPPED: $*"
    exit "$SKIPPED"
}

# Installs what a part needs, or skips the part with setup's own words.
need() {
    local thing
    for thing in "$@"; do
        "$ROOT/scripts/setup" "$thing" || skip "$thing is missing and could not be installed (see above)"
    done
}

# The crates that go to a registry, in the order of the workspace's members.
published_crates() {
    cargo metadata --no-deps --format-version 1 --locked | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if package["publish"] != []:
        print(package["name"])'
}

# The features of one workspace crate, "default" left out.
features_of() {
    cargo metadata --no-deps --format-version 1 --locked | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] == sys.argv[1]:
        print(*sorted(set(package["features"]) - {"default"}), sep="\n")' "$1"
}
