#!/usr/bin/env bash
# The human loop, twice, on two processor cores in a few minutes: scripted people of the small world do what people do, through a
# feedback store and a real server, and every other step is a command that you would give with people of your own.
#
#   runs/human_loop.sh            everything under out/human_loop, and a page that shows both rounds: report.html
#
# OUT (default out/human_loop, a new folder) is where everything goes, PROGRAMS (default .venv/bin) where python and instructloop are.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-out/human_loop}
programs=${PROGRAMS:-.venv/bin}
store=$out/feedback.db
loop() { "$programs/instructloop" "$@"; }
people() { "$programs/python" -m instructloop.loop.rounds "$1" --store "$store" "${@:2}"; }
say() { printf '\n== %s\n' "$*"; }
split=(--by user --split train=0.7,valid=0.3)
base=$("$programs/python" -c 'from instructloop.loop.lab_pretraining import shipped_base; print(shipped_base())')
test ! -e "$out" || { echo "$out exists; name another folder with OUT=" >&2; exit 2; }
mkdir -p "$out/data"

say "people join; labelers write prompts and demonstrations"
people join --out "$out/users"
people bootstrap --count 60
people texts --count 4000 --out "$out/texts.jsonl"
loop snapshot "$out/texts.jsonl" --kind documents --out "$out/data/texts"

say "a first model, from labelers alone; the site serves it"
loop snapshot --store "$store" --kind demonstrations "${split[@]}" --out "$out/bootstrap/demonstrations"
loop sft demo --sft.epochs 3 --model "$base" --demonstrations "$out/bootstrap/demonstrations" --out "$out/bootstrap/sft"
loop models add "$out/bootstrap/sft" --store "$store" --name bootstrap --choose

serve() { # a real server; its address is in $address
    "$programs/instructloop" serve --store "$store" --port 0 --answers-per-minute 1000 > "$out/serve.log" &
    server=$!
    trap 'kill $server 2> /dev/null || true' EXIT
    until grep -q '^The site is at ' "$out/serve.log"; do
        kill -0 $server || { cat "$out/serve.log" >&2; exit 1; }
        sleep 0.2
    done
    address=$(sed -n 's/^The site is at //p' "$out/serve.log")
}
stop() {
    kill -TERM $server
    wait $server
    trap - EXIT
}

say "three users ask: one with curl and the API, one on the page, one floods"
serve
curl --silent --fail "$address/v1/completions" -H "Authorization: Bearer $(cat "$out/users/ada.key")" \
    -H 'Content-Type: application/json' -d '{"model": "bootstrap", "prompt": "What does the cow eat?", "max_tokens": 24}'
echo
people ask --user "$out/users/ada.json" --address "$address" --model bootstrap
people ask --user "$out/users/bob.json" --address "$address" --model bootstrap --page
people ask --user "$out/users/max.json" --address "$address" --model bootstrap --max-tokens 8
stop

say "curation; demonstrations for some of what was asked"
loop curate --store "$store" --out "$out/curation" --omit length --valid 0.3 --test 0
people choose --prompts "$out/curation/prompts" --start 0 --count 40 --out "$out/data/to_demonstrate"
people demonstrate --prompts "$out/data/to_demonstrate"
loop snapshot --store "$store" --kind demonstrations "${split[@]}" --out "$out/data/demonstrations"
loop sft demo --stage sft_ptx_init --model "$base" --demonstrations "$out/data/demonstrations" --pretraining "$out/data/texts" --out "$out/sft"
loop models add "$out/sft" --store "$store" --name sft

round() { # NUMBER FIRST_PROMPT MODELS...: candidates, rankings, reward model, PPO-ptx
    local number=$1 first=$2 folder=$out/round-$1
    shift 2
    say "round $number: answers of $*, ranked blind by three labelers"
    people choose --prompts "$out/curation/prompts" --start "$first" --count 40 --out "$folder/to_rank"
    loop jobs sample --store "$store" --queue "ranking $number" --overlap 3 --prompts "$folder/to_rank" --max-new-tokens 56 "$@"
    loop worker --store "$store" --once --folder "$out/worker"
    people rank --queue "ranking $number"
    loop snapshot --store "$store" --kind rankings "${split[@]}" --out "$folder/rankings"
    say "round $number: reward model from all rankings so far, and PPO-ptx"
    loop reward demo --model "$out/sft/model" --rankings "$folder/rankings" --demonstrations "$out/data/demonstrations" --out "$folder/reward"
    loop ppo demo --ppo.iterations 6 --ppo.episodes 64 --ppo.valid-every 2 --ppo.valid-prompts 64 --policy "$out/sft/model" \
        --reward "$folder/reward/model" --prompts "$out/curation/prompts" --pretraining "$out/data/texts" --out "$folder/ppo"
    loop models add "$folder/ppo" --store "$store" --name "ppo-$number" --choose
}
round 1 40 --model sft
round 2 80 --model sft:0.5 --model ppo-1:0.5

people report --curation "$out/curation" --rounds "$out/round-1" "$out/round-2" --out "$out/report.html"

say "the site answers with the newest model; whose data is inside it"
serve
cat "$out/serve.log"
curl --silent --fail "$address/v1/completions" -H "Authorization: Bearer $(cat "$out/users/ada.key")" \
    -H 'Content-Type: application/json' -d '{"model": "ppo-2", "prompt": "What does the cow eat?", "max_tokens": 24}'
echo
stop
loop models list --store "$store"
loop lineage "$out/round-2/ppo" --store "$store" --look "$out" | tail -n 1
echo "To talk to the models: instructloop serve --store $store"
