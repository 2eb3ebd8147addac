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
cargo=(/usr/bin/cargo)
build=(-Zbuild-std=std,panic_unwind,test --target x86_64-pc-windows-gnu)
out=$PWD/target/windows/x86_64-pc-windows-gnu/debug
"${cargo[@]}" test --no-run "${build[@]}" -p hoist-hcs -p hoist-host -p hoist-windows --lib --tests
"${cargo[@]}" test --no-run "${build[@]}" -p hoist -p hoist-cli --test windows
"${cargo[@]}" rustc "${build[@]}" -p hoist-hcs-double --crate-type cdylib
# Wine 8 lacks a DLL that the standard library loads.
x86_64-w64-mingw32-gcc -shared crates/hcs-double/bcryptprimitives.c -ladvapi32 -o "$out/deps/bcryptprimitives.dll"

WINEPREFIX=$(mktemp -d)
trap 'wineserver -k 2>/dev/null; rm -rf "$WINEPREFIX"' EXIT
export WINEPREFIX WINEDEBUG=-all CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=/usr/lib/wine/wine64
export HOIST_TEST_HCS_DOUBLE="Z:$out/vmcompute.dll"
"${cargo[@]}" test "${build[@]}" -p hoist-hcs -p hoist-host -p hoist-windows --lib --tests
# The engine and the command load the DLL from the system folder alone, and with it what that needs.
cp "$out/vmcompute.dll" "$out/deps/bcryptprimitives.dll" "$WINEPREFIX/drive_c/windows/system32/"
HOIST_TEST_HCS_INSTALLED=1 "${cargo[@]}" test "${build[@]}" -p hoist -p hoist-cli --test windows
