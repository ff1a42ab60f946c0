#!/usr/bin/env bash
#SBATCH --job-name=gramgan-train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --requeue
# A training over the nodes of a Slurm job:  OUT=/data/runs/big sbatch slurm-train.sh --recipe psnr --hr-dir /data/shards
# Requeued after a preemption or submitted again, it goes on where it was.
set -euo pipefail
HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
if [ -e "$OUT/recipe.toml" ]; then set -- --resume; fi
export HEAD OUT
srun bash -c 'torchrun --nnodes "$SLURM_NNODES" --node-rank "$SLURM_NODEID" --nproc-per-node "${SLURM_GPUS_ON_NODE:-1}" \
  --rdzv-backend c10d --rdzv-endpoint "$HEAD:${PORT:-29500}" --rdzv-id "$SLURM_JOB_ID" \
  -m gramgan_cli train --out "$OUT" "$@"' train "$@"
