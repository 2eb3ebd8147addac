#!/usr/bin/env bash
# The Windows backend, built for Windows and tested under Wine over the double of vmcompute.dll (docs/windows.md).
# Exits with 77 where a tool is missing.
set -euo pipefail
for tool in /usr/bin/cargo /usr/bin/rustc /usr/lib/wine/wine64 x86_64-w64-mingw32-gcc; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done
# Another toolchain than the one in use, with a standard library of its own build.
unset CARGO RUSTUP_TOOLCHAIN RUSTC_WRAPPER
export RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=target/windows
# What takes the time here is the building, and under Wine the starts of processes: nothing is optimised, and what is loaded is small.
export CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=0
cargo=(/usr/bin/cargo)
build=(-Zbuild-std=std,panic_unwind,test --target x86_64-pc-windows-gnu)
# One set of features for all packages, where this cargo can: each dependency is built once.
if "${cargo[@]}" -Z help | grep -q feature-unification; then
    export CARGO_RESOLVER_FEATURE_UNIFICATION=workspace
    build+=(-Zfeature-unification)
fi
out=$PWD/target/windows/x86_64-pc-windows-gnu/debug
work=$(mktemp -d)
trap 'WINEPREFIX=$work/prefix wineserver -k 2>/dev/null; rm -rf "$work"' EXIT

# The folder and the program of each test that cargo builds with these arguments.
build_tests() {
    "${cargo[@]}" test --no-run --message-format=json-render-diagnostics "${build[@]}" "$@" |
        sed -n '/"profile":{[^}]*"test":true/s/.*"manifest_path":"\([^"]*\)\/Cargo.toml".*"executable":"\([^"]*\)".*/\1 \2/p'
}
began=$SECONDS
build_tests -p hoist-hcs -p hoist-host -p hoist-windows --lib --tests >"$work/tests"
build_tests -p hoist -p hoist-cli --test windows >"$work/installed"
"${cargo[@]}" rustc "${build[@]}" -p hoist-hcs-double --crate-type cdylib
# Wine 8 lacks a DLL that the standard library loads.
x86_64-w64-mingw32-gcc -shared crates/hcs-double/bcryptprimitives.c -ladvapi32 -o "$out/deps/bcryptprimitives.dll"
echo "built in $((SECONDS - began)) s"

export WINEPREFIX=$work/prefix WINEDEBUG=-all HOIST_TEST_HCS_DOUBLE="Z:$out/vmcompute.dll"
# A program that starts while the prefix is still being filled may not find its DLLs.
/usr/lib/wine/wine64 wineboot --init </dev/null
wineserver -w
/usr/lib/wine/wine64 cmd /c exit </dev/null
# The engine and the command load the DLL from the system folder alone, and with it what that needs.
cp "$out/vmcompute.dll" "$out/deps/bcryptprimitives.dll" "$WINEPREFIX/drive_c/windows/system32/"

# Runs the tests of one program in its package's folder, and shows what it said when it has ended.
run_one() {
    local log status=0 began=$SECONDS
    log=$(mktemp -p "$work")
    cd "$1"
    CARGO_MANIFEST_DIR=$1 /usr/lib/wine/wine64 "$2" >"$log" 2>&1 </dev/null || status=$?
    flock "$work/tests" sh -c 'echo "     Running $1"; cat "$2"; echo "     Ended after $3 s with $4"' \
        sh "$2" "$log" $((SECONDS - began)) "$status"
    return "$status"
}
export -f run_one
export work
began=$SECONDS
status=0
# Side by side, since most of them wait most of the time; those that take longest come first.
{ grep -E '/(conformance|named_pipes|service_faults)-' "$work/tests"; grep -vE '/(conformance|named_pipes|service_faults)-' "$work/tests"; } |
    xargs -P 4 -L 1 bash -c 'run_one "$@"' bash || status=$?
# These change what the system folder holds: one after the other.
export HOIST_TEST_HCS_INSTALLED=1
xargs -L 1 bash -c 'run_one "$@"' bash <"$work/installed" || status=$?
echo "tested in $((SECONDS - began)) s"
exit "$status"
