#!/usr/bin/env bash
# Fine-tunes on two hosts at once, and compares with one process.
#
#     sudo benchmarks/two_hosts.sh
#
# The hosts are two network namespaces of this machine, joined by a cable of
# their own (10.77.0.1 and 10.77.0.2): nothing but TCP over it connects their
# processes. Needs root, Linux, `ip` (iproute2) and the project's environment
# as `python`, or named in PYTHON. On real hosts the command of `on_host` is
# what runs on each, without `ip netns exec`.
set -euo pipefail

PROJECT=$(cd "$(dirname "$0")/.." && pwd)
PYTHON=${PYTHON:-python}
PLACE=$(mktemp -d)
HOSTS=(llm-host-0 llm-host-1)
ADDRESSES=(10.77.0.1 10.77.0.2)
CABLES=(llm-eth-0 llm-eth-1)

remove() {
    for host in "${HOSTS[@]}"; do ip netns del "$host" 2> /dev/null || true; done
    rm -rf "$PLACE"
}
trap remove EXIT

set_up_hosts() {
    for number in 0 1; do ip netns add "${HOSTS[$number]}"; done
    ip link add "${CABLES[0]}" netns "${HOSTS[0]}" type veth \
        peer name "${CABLES[1]}" netns "${HOSTS[1]}"
    for number in 0 1; do
        in_host="ip -n ${HOSTS[$number]}"
        $in_host addr add "${ADDRESSES[$number]}/24" dev "${CABLES[$number]}"
        $in_host link set "${CABLES[$number]}" up
        $in_host link set lo up
    done
}

# The program on one of the hosts; the first argument is its number.
on_host() {
    ip netns exec "${HOSTS[$1]}" env \
        GLOO_SOCKET_IFNAME="${CABLES[$1]}" NCCL_SOCKET_IFNAME="${CABLES[$1]}" \
        "$PYTHON" -m accelerate.commands.launch \
        --multi_gpu --num_machines 2 --num_processes 2 --machine_rank "$1" \
        --main_process_ip "${ADDRESSES[0]}" --main_process_port 29555 \
        --mixed_precision no --dynamo_backend no \
        "$PROJECT/conversation_with_agent_with_finetuned_model.py" \
        --model-configs "$PLACE/host-$1/configs.json" --config-name two-hosts \
        --no-chat < /dev/null
}

"$PYTHON" "$PROJECT/benchmarks/two_hosts.py" prepare "$PLACE"
set_up_hosts
echo "-- two hosts"
on_host 1 > "$PLACE/host-1.txt" 2>&1 &
second=$!
on_host 0
wait "$second"
echo "-- the second host said: $(grep -v '^W' "$PLACE/host-1.txt" || true)"
echo "-- one process"
"$PYTHON" "$PROJECT/conversation_with_agent_with_finetuned_model.py" \
    --model-configs "$PLACE/alone/configs.json" --config-name two-hosts \
    --no-chat < /dev/null
"$PYTHON" "$PROJECT/benchmarks/two_hosts.py" compare "$PLACE"
