#!/usr/bin/env bash
# One machine of a training over several. On machine number NODE (0, 1, ...) of NODES:
#
#   NODES=2 NODE=0 HEAD=first-machine GPUS=4 ./torchrun.sh --recipe psnr --hr-dir /data/shards --out /data/runs/big
#
# The photos and the run folder lie where all machines see them. A run that was stopped goes on with --resume.
set -euo pipefail
exec torchrun --nnodes "$NODES" --node-rank "$NODE" --nproc-per-node "${GPUS:-1}" \
  --rdzv-backend c10d --rdzv-endpoint "$HEAD:${PORT:-29500}" --rdzv-id "${RUN:-gramgan}" \
  -m gramgan_cli train "$@"
