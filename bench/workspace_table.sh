#!/usr/bin/env bash
# The whole table of one workspace, from nothing: a hand with an eye that learns to look (BC-RL),
# the same hand through other cameras, and all of them at work.
#
#   bench/workspace_table.sh press            # or bucket, wipe, shelf, read
#
# Overridable: OUT, JOBS, DEVICE, PLAYS, STEPS, BCRL (more options of train bcrl), HANDS (of train
# workspace), EPISODES, UPDATES, CONDITIONS, N, SEEDS, EXPERT_N. In a few minutes, to see that it
# runs:
#
#   STEPS=2048 BCRL='--warm-up 512 --follow 512 --eval-episodes 4' EPISODES=6 \
#     UPDATES=20 N=2 SEEDS=1 EXPERT_N=2 OUT=/tmp/table bench/workspace_table.sh press
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

task="${1:?name a task: press, bucket, wipe, shelf or read}"
out="${OUT:-runs/workspace}/$task"
robot="${ROBOT:-.venv/bin/gaze-robot}"
jobs="${JOBS:-$(nproc)}"
export OMP_NUM_THREADS=1

# shellcheck disable=SC2086
"$robot" train bcrl --demos "workspace:$task" --plays "${PLAYS:-0}" --angles \
  --fine --joint-noise 0.03 --warm-up 80000 --warm-updates 60 --found 0.7 --waits --no-recall \
  --replay 80000 \
  --hand-updates 0 --hand-learning-rate 2e-3 --steps "${STEPS:-0}" \
  --device "${DEVICE:-auto}" --out "$out/learned" ${BCRL:-}
# shellcheck disable=SC2086
for condition in ${CONDITIONS:-oracle wide exo wrist exo_wrist}; do
  "$robot" train workspace --task "$task" --condition "$condition" --out "$out" --jobs "$jobs" \
    --episodes "${EPISODES:-8000}" --updates "${UPDATES:-8000}" --device "${DEVICE:-auto}" ${HANDS:-}
done
"$robot" eval workspace --task "$task" --policies "$out" --n "${N:-100}" --seeds "${SEEDS:-3}" \
  --expert-n "${EXPERT_N:-200}" --jobs "$jobs" --json "$out/table.json" \
  --picture "$out/table.png" --videos "$out/films"
