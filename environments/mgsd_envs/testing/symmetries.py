"""Mirror images and quarter turns, of tasks that say what their states look like in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mgsd_envs.rollouts import rollout
from mgsd_envs.symmetry import SYMMETRIES
from mgsd_envs.task import Symmetric

if TYPE_CHECKING:
    from mgsd_envs.testing.contract import Check


def check_symmetries(check: Check, state: Any) -> None:
    """Every image is a state with the same plans, mirrored with it, and has the same orbit."""
    task: Any = check.task
    if not isinstance(check.task, Symmetric):
        check.that(not hasattr(task, "orbit_key"), "has orbit_key, but no transform")
        return
    with check.working("transform or orbit_key", state):
        plan, number = task.shortest(state)
        images = [task.transform(state, symmetry) for symmetry in SYMMETRIES]
        check.that(images[0] == state, "transform by the identity changes the state", state)
        for symmetry, image in zip(SYMMETRIES, images, strict=True):
            check.that(
                task.from_json(task.to_json(image)) == image, f"from_json refuses the image by {symmetry}", state
            )
            for again in SYMMETRIES:
                check.that(
                    task.transform(image, again) == images[SYMMETRIES.index(symmetry.then(again))],
                    f"transform by {symmetry} and then by {again} is not what both do together",
                    state,
                )
            done = rollout(task, image, tuple(map(symmetry.side, plan)))
            check.that(
                done == ("solved", len(plan), None), f"the mirrored plan fails in the image by {symmetry}", state
            )
            check.that(task.shortest(image)[1] == number, f"the image by {symmetry} has other shortest plans", state)
        if hasattr(task, "orbit_key"):
            least = min(map(task.key, images))
            for image in images:
                check.that(task.orbit_key(image) == least, "orbit_key is not the least key of the images", image)
