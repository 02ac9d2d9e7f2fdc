#!/usr/bin/env bash
# One shard a task of a job array:   sbatch examples/cluster/slurm-array.sh --model MODEL --out runs/big
# A task that is requeued goes on where it was. Afterwards:   mgsd-bench merge runs/big/shard-* --out runs/big-merged
#SBATCH --job-name=mgsd-bench
#SBATCH --array=1-8
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --output=%x-%A-%a.log
set -euo pipefail
exec mgsd-bench eval --shard auto "$@"
