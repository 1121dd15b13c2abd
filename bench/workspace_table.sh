#!/usr/bin/env bash
# The whole table of one workspace, from nothing: demonstrations, a hand with an eye (BC-RL), the
# same hand through other cameras, and all of them at work.
#
#   bench/workspace_table.sh press            # or bucket, wipe, shelf, read
#
# Overridable: OUT, JOBS, DEVICE, DEMOS, STEPS, EPISODES, UPDATES, N, SEEDS, CONDITIONS.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

task="${1:?name a task: press, bucket, wipe, shelf or read}"
out="${OUT:-runs/workspace}/$task"
robot="${ROBOT:-.venv/bin/gaze-robot}"
jobs="${JOBS:-$(nproc)}"
export OMP_NUM_THREADS=1

"$robot" demos record --source "workspace:$task" --n "${DEMOS:-1000}" --out "$out/demos"
"$robot" train bcrl --demos "$out/demos" --joint-noise 0.05 --steps "${STEPS:-400000}" \
  --device "${DEVICE:-auto}" --out "$out/learned"
for condition in ${CONDITIONS:-oracle wide exo wrist exo_wrist}; do
  "$robot" train workspace --task "$task" --condition "$condition" --out "$out" --jobs "$jobs" \
    --episodes "${EPISODES:-1500}" --updates "${UPDATES:-10000}" --device "${DEVICE:-auto}"
done
"$robot" eval workspace --task "$task" --policies "$out" --n "${N:-100}" --seeds "${SEEDS:-3}" \
  --jobs "$jobs" --json "$out/table.json" --picture "$out/table.png" --videos "$out/films"
