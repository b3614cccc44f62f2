#!/usr/bin/env bash
# Builds the fuzz targets with libFuzzer's instrumentation and runs them.
#   run.sh build                    builds all
#   run.sh run SECONDS [TARGET...]  runs each for so long, JOBS (2) at a time; all without TARGET
#   run.sh seeds                    writes seeds/ anew
#   run.sh lint                     clippy
# What the fuzzer finds stays in $CARGO_TARGET_DIR/corpus, what fails in $CARGO_TARGET_DIR/artifacts.
# cargo-fuzz takes the same targets, with AddressSanitizer: there is no unsafe code to need it.
set -euo pipefail
cd "$(dirname "$0")"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
host=$(rustc -vV | sed -n 's/^host: //p')
out=$CARGO_TARGET_DIR/$host/release

# Cargo with the instrumentation; with --target it is for the targets alone, not build scripts.
instrumented() {
  RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares" \
    cargo "$1" --locked --release --target "$host" "${@:2}"
}

targets() { sed -n 's/^path = "fuzz_targets\/\(.*\)\.rs"$/\1/p' Cargo.toml; }

# Longer inputs than a target can use are slow to no purpose.
max_len() {
  case $1 in
  message_header | protocol_header | resumption_record) echo 128 ;;
  certificate | fabric_and_verifier) echo 1400 ;;
  check_in | group) echo 512 ;;
  manager) echo 1024 ;;
  restarts) echo 65 ;;
  *) echo 2048 ;;
  esac
}

run_one() {
  local target=$1 seconds=$2 corpus=$CARGO_TARGET_DIR/corpus/$1 log=$CARGO_TARGET_DIR/logs/$1
  mkdir -p "$corpus" "$CARGO_TARGET_DIR/artifacts" "$CARGO_TARGET_DIR/logs"
  if ! "$out/$target" "$corpus" "seeds/$target" -max_total_time="$seconds" -timeout=20 \
    -rss_limit_mb=1024 -max_len="$(max_len "$target")" -len_control=0 -print_final_stats=1 \
    -artifact_prefix="$CARGO_TARGET_DIR/artifacts/$target-" >"$log" 2>&1; then
    tail -40 "$log" >&2
    echo "FAILED: $target" >&2
    return 1
  fi
  # Executions, edges and features, corpus.
  awk -v target="$target" '
    /cov: / { for (i = 1; i < NF; i++) { if ($i == "cov:") cov = $(i + 1); if ($i == "ft:") ft = $(i + 1)
                                         if ($i == "corp:") corp = $(i + 1) } }
    /number_of_executed_units/ { runs = $2 }
    /average_exec_per_sec/ { speed = $2 }
    END { printf "%-20s %10d runs %7d/s %6d edges %6d features, corpus %s\n",
            target, runs, speed, cov, ft, corp }' "$log"
}

case ${1:-} in
build) instrumented build --bins ;;
lint) instrumented clippy --all-targets -- -D warnings ;;
seeds)
  instrumented build --example seeds
  rm -rf seeds
  "$out/examples/seeds"
  ;;
run)
  seconds=$2
  shift 2
  [ $# != 0 ] || set -- $(targets)
  export -f run_one max_len
  export CARGO_TARGET_DIR out
  # Others go on when one fails, and the failure is the run's.
  printf '%s\n' "$@" | xargs -P "${JOBS:-2}" -I{} bash -c 'run_one {} '"$seconds"
  ;;
*)
  sed -n '2,/^set/{/^#/p}' "$0" >&2
  exit 2
  ;;
esac
