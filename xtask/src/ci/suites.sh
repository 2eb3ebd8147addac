#!/usr/bin/env bash
# suites.sh SUITES RUNTIME: podman, docker and containerd drive hoist-oci through the steps of the shared suites.
# Each prints `ok` or `not ok` per step and a TOTAL line. Exits with 77 where an engine is missing.
set -uo pipefail
suites=$1 runtime=$2
for tool in podman dockerd containerd ctr script; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done
PEERS=$(mktemp -d /var/tmp/hoist-suites.XXXXXX)
export PEERS
containerd=

finish() {
    "$suites/dockerd-smoke" stop 2>/dev/null
    [ -z "$containerd" ] || { kill "$containerd"; wait "$containerd" 2>/dev/null; }
    # What the engines keep mounted below their folders.
    grep -o " $PEERS[^ ]*" /proc/self/mounts | sort -r | xargs -r umount -l
    rm -rf "$PEERS"
}
trap finish EXIT

if ! ctr version >/dev/null 2>&1; then
    containerd >"$PEERS/containerd.log" 2>&1 &
    containerd=$!
fi
for _ in $(seq 100); do ctr version >/dev/null 2>&1 && break; sleep 0.2; done
"$suites/dockerd-smoke" start "hoist=$runtime"
DOCKER_HOST=unix://$PEERS/dk/docker.sock "$suites/prepare" || exit 1

"$suites/podman-smoke" "$runtime" hoist
"$suites/docker-smoke" hoist
"$suites/ctr-smoke" hoist io.containerd.runc.v2 --runc-binary "$runtime"
