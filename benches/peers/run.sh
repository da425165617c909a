#!/usr/bin/env bash
# Wavedeck and FutureSDR in turns: a source, N stages and a sink on f32 samples. FutureSDR needs a nightly compiler, so
# both are built with it. `run.sh [ROUNDS]` prints medians; ratios are ours over FutureSDR's best, round by round.
set -euo pipefail
cd "$(dirname "$0")"
rounds=${1:-5}
cargo +nightly build --release --quiet
bin=target/release
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT

# NAME COMMAND...: one run; its two figures behind the round and the name.
one() { printf '%s %s %s\n' "$round" "$1" "$("${@:2}")" >>"$lines"; }

for round in $(seq "$rounds"); do
    for stages in 1 4 8; do
        for chunk in 128 1024; do
            samples=$((stages == 1 ? 300000000 : 100000000))
            at=$stages/$chunk
            for form in hand_on copy; do
                one "$at/wavedeck-$form" $bin/peer-wavedeck "$stages" "$samples" "$chunk" "$form"
            done
            # Its best is sought among: one worker or one per core, chunks as large as ours or whatever is there.
            for workers in 1 "$(nproc)"; do
                one "$at/futuresdr-$workers-same" $bin/peer-futuresdr "$stages" "$samples" "$chunk" "$workers"
                one "$at/futuresdr-$workers-free" $bin/peer-futuresdr "$stages" "$samples" 0 "$workers"
            done
        done
    done
done

awk '
function median(list, count,    i, j, held) {
    for (i = 2; i <= count; i++) {
        held = list[i]
        for (j = i - 1; j > 0 && list[j] > held; j--) list[j + 1] = list[j]
        list[j + 1] = held
    }
    return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
}
{
    split($2, part, "/")
    place = part[1] "/" part[2]; way = part[3]
    if (!(place in known)) { known[place]; places[++place_count] = place }
    if (!(way in seen)) { seen[way]; ways[++way_count] = way }
    speed[place, way, $1] = $3; cpu[place, way, $1] = $4
    if ($1 > rounds) rounds = $1
}
END {
    printf "%-12s %-22s %12s %12s %16s %16s\n", "N/chunk", "engine", "M samples/s", "CPU-s/1e9", "x FutureSDR best", "x its CPU there"
    for (p = 1; p <= place_count; p++) for (w = 1; w <= way_count; w++) {
        place = places[p]; way = ways[w]
        for (r = 1; r <= rounds; r++) {
            top = 0
            for (v = 1; v <= way_count; v++) if (ways[v] ~ /^futuresdr/ && speed[place, ways[v], r] > top) {
                top = speed[place, ways[v], r]; least = cpu[place, ways[v], r]
            }
            speeds[r] = speed[place, way, r] / 1e6; cpus[r] = cpu[place, way, r]
            faster[r] = speed[place, way, r] / top; cheaper[r] = cpu[place, way, r] / least
        }
        printf "%-12s %-22s %12.0f %12.3f %16.2f %16.2f\n", place, way, median(speeds, rounds), median(cpus, rounds), median(faster, rounds), median(cheaper, rounds)
    }
}' "$lines"
