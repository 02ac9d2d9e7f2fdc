"""mgsd-bench as a taskset of verifiers (v1): plan from a picture, rewarded by the simulator."""

from mgsd_plan.taskset import PlanTaskset

__all__ = ["PlanTaskset"]
