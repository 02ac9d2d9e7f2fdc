#!/usr/bin/env bash
# One shard a task of one job, and the merging:   sbatch examples/cluster/slurm-steps.sh runs/big --model MODEL
#SBATCH --job-name=mgsd-bench
#SBATCH --ntasks=8
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --output=%x-%j.log
set -euo pipefail
out=$1
shift
srun --kill-on-bad-exit=0 mgsd-bench eval --shard auto --out "$out" "$@"
exec mgsd-bench merge "$out"/shard-* --out "$out-merged"
