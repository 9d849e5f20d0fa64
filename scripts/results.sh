# Sourced by the training scripts: runs edgenet, and turns a trained checkpoint into a result file.
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
edgenet() { "$python" -m edgenet "$@"; }

train() { # RUN [options of edgenet train]; goes on where a killed run was
  local run=$1 options=("${@:2}")
  [ ! -f "$run.json" ] || return 0
  [ ! -f "$run/training/run.json" ] || options=(--resume)
  edgenet train "${options[@]}" -o "$run" --json >"$run.json.partial"
  mv "$run.json.partial" "$run.json"
}

measure() { # OUT DATA CHECKPOINT: makes OUT/checkpoint, calibrated, OUT/bundle and OUT/drift.json
  edgenet quantize "$3" --data "$2" -o "$1/checkpoint"
  edgenet export --target pc --model "$1/checkpoint" -o "$1/bundle"
  edgenet evaluate "$1/bundle" --data "$2" --layers --record --json >"$1/drift.json"
}

record() { # NAME DRIFT.json TRAINING.json...: writes docs/results/NAME.json and the pages made of it
  "$python" scripts/make_docs.py --record "$@"
}
