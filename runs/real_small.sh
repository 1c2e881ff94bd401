#!/usr/bin/env bash
# The whole loop on real human data, on two processor cores: a base made once, then one seed after another.
#
#   runs/real_small.sh            seeds 0 1 2
#   runs/real_small.sh 1          one seed
#
# Every step is a run folder under out/real that goes on where it stopped: after a kill, give the same command again.
# DATA (default ../shared/data) is the folder of the collections, OUT (default out/real) where everything goes.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${DATA:-../shared/data}
out=${OUT:-out/real}
seeds=("${@:-0 1 2}")
python=.venv/bin/python
loop=.venv/bin/instructloop
more=${MORE:-} # flags for every step, e.g. MORE=--allow-inexact

$python -m instructloop.loop.real_data --data "$data" --out "$out/data"
$loop pretrain real_small --documents "$out/data/documents" --out "$out/base" $more

for seed in ${seeds[*]}; do
    run=$out/seed-$seed
    held_out_seed=$((1000 + seed)) # the judge shares neither data nor random numbers with the reward model it checks
    step() { # VERB FOLDER FLAGS...
        local verb=$1 folder=$2
        shift 2
        $loop "$verb" real_small --run.seed "${number:-$seed}" --out "$run/$folder" $more "$@"
    }
    long=(--text.context 512 --text.max-prompt 256 --text.max-response 256) # rankings are dialogues, longer than instructions
    step sft sft --model "$out/base/model" --demonstrations "$out/data/demonstrations"
    step sft sft_ptx_init --stage sft_ptx_init --model "$out/base/model" --demonstrations "$out/data/demonstrations" --pretraining "$out/data/documents"
    step reward reward "${long[@]}" --model "$run/sft/model" --rankings "$out/data/rankings" --demonstrations "$out/data/demonstrations"
    number=$held_out_seed step reward reward_held_out "${long[@]}" --model "$run/sft/model" --rankings "$out/data/rankings_held_out" --demonstrations "$out/data/demonstrations"
    ppo=(--run.save-every 2 --policy "$run/sft_ptx_init/model" --reward "$run/reward/model" --heldout-reward "$run/reward_held_out/model"
        --prompts "$out/data/prompts" --pretraining "$out/data/documents")
    step ppo ppo "${ppo[@]}" --ppo.ptx-coef 0
    step ppo ppo_ptx "${ppo[@]}"
    $python -m instructloop.loop.real_evaluation --root "$out" --seed "$seed"
done
$python -m instructloop.loop.real_report --root "$out" --seeds ${seeds[*]}
