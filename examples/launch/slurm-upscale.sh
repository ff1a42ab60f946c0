#!/usr/bin/env bash
#SBATCH --job-name=gramgan-upscale
#SBATCH --array=0-63
#SBATCH --gpus=1
#SBATCH --cpus-per-task=4
#SBATCH --time=24:00:00
#SBATCH --requeue
# An archive in 64 parts:  sbatch slurm-upscale.sh s3://archive/photos.parquet s3://archive/larger
# Submitted again, it does what is missing. Afterwards:  gramgan batch report s3://archive/larger
set -euo pipefail
gramgan upscale "$1" --output "$2" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" "${@:3}"
