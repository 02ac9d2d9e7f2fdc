"""Every installed task keeps the contract; and a good task with any one thing broken does not."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mgsd_envs import Illegal, get_task, task_names
from mgsd_envs.frozenlake import FrozenLake
from mgsd_envs.statements import SIZE, Field
from mgsd_envs.task import MiniGridForm
from mgsd_envs.testing import TaskContractError, check_task
from mgsd_keydoor import KeyDoor, Room
from support import by_hash

KEYDOOR = KeyDoor()


@pytest.mark.parametrize("name", task_names())
def test_installed_tasks_keep_the_contract(name: str) -> None:
    check_task(get_task(name), states=6)


def test_a_task_of_defaults_keeps_the_contract() -> None:
    check_task(KEYDOOR)


def mutant(base: type[Any] = KeyDoor, **changes: Any) -> Any:
    """A task with some things of its class changed, and the prompts of its class."""
    return type("Mutant", (base,), {"__module__": base.__module__, **changes})()


def refuses(task: Any, said: str) -> None:
    with pytest.raises(TaskContractError, match=said) as caught:
        check_task(task, levels=[4], states=3)
    assert len(str(caught.value).splitlines()) == 1


def after(name: str, change: Callable[..., Any]) -> dict[str, Any]:
    """A method whose results are changed, given the task, the result and the method's arguments."""
    good = getattr(KeyDoor, name)
    return {name: lambda self, *args, **kwargs: change(self, good(self, *args, **kwargs), *args)}


def fails(name: str, error: type[Exception] = KeyError) -> dict[str, Any]:
    def broken(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise error("oops")

    return {name: broken}


DECLARATIONS = [
    ({"name": "Key Door"}, "name is 'Key Door'"),
    ({"name": 7}, "name is 7"),
    ({"levels": ()}, "levels is empty"),
    ({"levels": (2, 4)}, r"levels \[2, 4\] are not all"),
    ({"levels": (4, 4)}, "one stands twice"),
    ({"min_level": 0}, "min_level 0"),
    ({"max_level": 33}, "max_level 33"),
    ({"actions": ["left", "right"]}, "actions must be a tuple"),
    ({"actions": ("left", "Take It")}, "not all names"),
    ({"actions": ("pick_up", "pickup")}, "two are written alike"),
    ({"action_words": {"jump": ("hop",)}}, "'jump' is no action"),
    ({"action_words": {"take": "grab"}}, "must be a tuple of words"),
    ({"action_words": {"take": ("left",)}}, "'left' stands for take and for left"),
    ({"action_words": {"take": ("grab",), "left": ("grab",)}}, "'grab' stands for left and for take"),
    ({"rules": {"off grid": "a step off the grid"}}, "rules .* not all names"),
    ({"rules": {"off_grid": ""}}, "off_grid needs one line"),
    ({"rules": {**KeyDoor.rules, "unknown_action": "no action"}}, "every task's own"),
    ({"fatal": {"wall"}}, "fatal must be a frozenset"),
    ({"fatal": frozenset({"moon"})}, "fatal has moon"),
    ({"fields": KeyDoor.fields[1:]}, "must tell the fact 'size'"),
    ({"fields": (*KeyDoor.fields, Field("box", "cell", "box", ("wall",)))}, "one name or alias"),
    ({"fields": (*KeyDoor.fields, Field("box", "cell", "key"))}, "two tell the same facts"),
    ({"fields": (SIZE, Field("Player", "cell", "player"))}, "names are in lower case"),
    ({"themes": ()}, "themes must be a tuple"),
    ({"minigrid": MiniGridForm("find the moon", {"moon": ("ball", "grey")})}, "minigrid shows moon"),
    ({"themes": ("night",)}, "the usual one is 'classic'"),
    ({"themes": ("classic", "classic")}, "one stands twice"),
]


@pytest.mark.parametrize(("changes", "said"), DECLARATIONS, ids=[said for _, said in DECLARATIONS])
def test_declarations(changes: dict[str, Any], said: str) -> None:
    refuses(mutant(**changes), said)


def test_what_is_no_task() -> None:
    refuses(object(), "object: is no mgsd_envs.Task")


def _any_level(self: Any, level: int, rng: Any, **kwargs: Any) -> Any:
    return KeyDoor.sample(self, min(max(level, 3), 32), rng, **kwargs)


def _impure(self: Any, level: int, rng: Any, **kwargs: Any) -> Any:
    return KeyDoor.sample(self, level, np.random.default_rng(), **kwargs)


def _any_length(self: Any, level: int, rng: Any, length: Any = None, density: Any = None) -> Any:
    return KeyDoor.sample(self, level, rng)


def _listed(task: Any, number: int) -> list[Any]:
    rng = np.random.default_rng(0)
    return list(dict.fromkeys(task.sample(4, rng) for _ in range(number)))


def _shuffled(self: Any, level: int) -> Any:
    return iter(random.SystemRandom().sample(_listed(KEYDOOR, 500), 300))


@dataclass
class Loose:
    """A room that can be changed, and so cannot be hashed."""

    room: Room

    def __getattr__(self, name: str) -> Any:
        return getattr(self.room, name)


SAMPLING = [
    ({"sample": _any_level}, "sample takes level 2"),
    ({"sample": _impure}, "other states from an equal rng"),
    ({"sample": _any_length}, "gives a shortest plan of"),
    (fails("sample", ValueError), "raised ValueError: oops"),
    (after("sample", lambda self, state, *_: None), "gave no state in 1,000 draws"),
    (after("sample", lambda self, state, *_: Loose(state)), "cannot be hashed"),
    ({"level_of": lambda self, state: state.size + 1}, "level_of says 5"),
    (after("sample", lambda self, state, *_: state and replace(state, player=state.goal)), "solved already"),
    (
        after("sample", lambda self, state, *_: state and replace(state, walls=state.walls | {state.door})),
        "no sequence of actions solves",
    ),
    ({"bands": lambda self, level: (range(1, 3), range(2, 5), range(5, 90))}, "do not follow one another"),
    ({"bands": lambda self, level: (range(1, 2), range(2, 3), range(3, 4))}, "do not hold a shortest plan of"),
    ({"bands": lambda self, level: [range(1, 99)]}, "must be three ranges"),
    ({"states": lambda self, level: iter(())}, "lists none"),
    ({"states": lambda self, level: iter(_listed(KEYDOOR, 20) * 2)}, "comes twice"),
    ({"states": lambda self, level: iter(_listed(KEYDOOR, 30)[20:])}, "leaves out a state"),
    ({"states": _shuffled}, "in another order"),
]


@pytest.mark.parametrize(("changes", "said"), SAMPLING, ids=[said for _, said in SAMPLING])
def test_sampling(changes: dict[str, Any], said: str) -> None:
    refuses(mutant(**changes), said)


def _other_rule(self: Any, result: Any, *_: Any) -> Any:
    return Illegal("forbidden") if result == "wall" else result


def _plain_text(self: Any, result: Any, *_: Any) -> Any:
    return str(result) if isinstance(result, Illegal) else result


_TURNS = count()


def _fickle(self: Any, result: Any, *_: Any) -> Any:
    return (*result[:2], next(_TURNS)) if not isinstance(result, Illegal) else result


def _changing(self: Any, state: Room, cursor: Any, action: str) -> Any:
    result = KeyDoor.step(self, state, cursor, action)
    if action == "take" and not isinstance(result, Illegal):
        object.__setattr__(state, "walls", frozenset(sorted(state.walls)[1:]))
    return result


def _listed_cursor(self: Any, state: Room) -> Any:
    return [*state.player, 0]


def _detour(self: Any, plan: Any, state: Room) -> Any:
    back = {"left": "right", "right": "left", "up": "down", "down": "up"}
    return plan if plan[0] == "take" else (plan[0], back[plan[0]], *plan)


DYNAMICS = [
    (fails("step"), r"raised KeyError: 'oops', in broken \(test_contract.py:"),
    (after("step", _other_rule), "'forbidden', which rules does not have"),
    (after("step", _plain_text), "make it mgsd_envs.Illegal"),
    (after("step", _fickle), "gives another result the second time"),
    ({"step": _changing}, "acting in a state changes it"),
    ({"start": _listed_cursor}, "a cursor is a tuple"),
    ({"place": lambda self, state, cursor: (cursor[0], 99)}, "no cell of the grid"),
    ({"solve": lambda self, state: ("left",)}, "solve gives 1 actions where .* are enough"),
    (after("solve", _detour), "where .* are enough"),
    (after("solve", lambda self, plan, *_: list(plan)), "which is no tuple"),
    (after("shortest", lambda self, found, *_: (found[0], found[1] + 1)), "there are"),
    (
        after("shortest_plans", lambda self, plans, *_: replace(plans, layers=plans.layers[:-1])),
        "solve gives .* are enough",
    ),
    ({"straight": lambda self, state: ("fly",)}, "straight has actions that are none"),
    ({"obstacle_free_length": lambda self, state: 99}, "obstacle_free_length says 99"),
    ({"state_at": lambda self, state, cursor: state}, "says the same as 0 before"),
    ({"state_at": lambda self, state, cursor: replace(state, key=state.goal)}, "state_at the start"),
    (after("solved", lambda self, done, *_: False), "no sequence of actions solves"),
]


@pytest.mark.parametrize(("changes", "said"), DYNAMICS, ids=[said for _, said in DYNAMICS])
def test_dynamics(changes: dict[str, Any], said: str) -> None:
    refuses(mutant(**changes), said)


def test_a_cursor_may_begin_with_anything_where_place_says_so() -> None:
    def swapped(cursor: Any) -> Any:
        return cursor if isinstance(cursor, Illegal) else (cursor[2], *cursor[:2])

    class Swapped(KeyDoor):
        def start(self, state: Room) -> Any:
            return swapped(super().start(state))

        def step(self, state: Room, cursor: Any, action: str) -> Any:
            return swapped(super().step(state, (*cursor[1:], cursor[0]), action))

        def solved(self, state: Room, cursor: Any) -> bool:
            return super().solved(state, (*cursor[1:], cursor[0]))

        def state_at(self, state: Room, cursor: Any) -> Room:
            return super().state_at(state, (*cursor[1:], cursor[0]))

        def place(self, state: Room, cursor: Any) -> Any:
            return cursor[1:]

        prompts = KEYDOOR.prompts

    check_task(Swapped(), levels=[3], states=3)


def test_a_rule_that_no_action_breaks_is_a_warning() -> None:
    rules = {**KeyDoor.rules, "tired": "a step after too many"}
    with pytest.warns(UserWarning, match="keydoor: no action broke tired"):
        check_task(mutant(rules=rules), levels=[3], states=4)


def _lenient(self: Any, facts: Iterable[Any]) -> Room:
    return KeyDoor.from_facts(self, {("size", 4)} | {fact for fact in facts if fact[0] != "size"})


def _parse_raises(self: Any, text: str) -> Any:
    if "(" in text and "size" not in text:
        raise IndexError("no size")
    return KeyDoor.parse(self, text)


def _guesses(self: Any, found: Any, text: str) -> Any:
    return found | {("size", 4)} if "size" in text else found


def _careless(self: Any, data: Any) -> Room:
    return self.from_facts((name, *row) for name, rows in data.items() for row in rows)


def _tuples(self: Any, data: Any, *_: Any) -> Any:
    return {name: [tuple(row) for row in rows] for name, rows in data.items()}


FORMS = [
    (after("facts", lambda self, facts, *_: set(facts)), "facts gives no frozenset"),
    (after("facts", lambda self, facts, *_: facts - {("size", 4)}), "facts must tell \\('size', 4\\)"),
    (after("facts", lambda self, facts, *_: facts | {("moon", 0, 0)}), "'moon', 0, 0.* is no fact"),
    (after("facts", lambda self, facts, *_: facts | {("wall", 9, 9)}), "'wall', 9, 9.* is no fact"),
    (after("from_facts", lambda self, room, *_: replace(room, walls=frozenset())), "rebuild the state"),
    ({"from_facts": _lenient}, "from_facts takes no size"),
    (fails("from_facts", TypeError), "raised TypeError: oops"),
    (after("describe", lambda self, text, *_: text.replace("door", "gate")), "parse does not read what describe wrote"),
    (after("parse", lambda self, found, *_: set(found)), "not a frozenset"),
    ({"parse": _parse_raises}, "IndexError: no size"),
    (after("parse", _guesses), "parse reads"),
    ({"questions": lambda self, state: ()}, "questions is empty"),
    (after("questions", lambda self, asked, *_: asked[:-1]), "do not tell the whole state"),
    (after("questions", lambda self, asked, *_: (("", asked[0][1]), *asked[1:])), "give its Field one"),
    (after("questions", lambda self, asked, *_: ((asked[0][0], "size:\n4"), *asked[1:])), "is not one line"),
    (after("to_json", _tuples), "what JSON changes"),
    (fails("to_json", AttributeError), "raised AttributeError"),
    ({"from_json": _careless}, "raises AttributeError: .* instead of ValueError for None"),
    (after("from_json", lambda self, room, *_: replace(room, goal=room.door)), "rebuild the state from its JSON"),
    ({"key": lambda self, state: f"{id(state)}"}, "key"),
    ({"key": lambda self, state: ""}, "key is ''"),
    ({"false_fact": lambda self, state, fact, rng: ("hole", 0, 0)}, "which is none"),
    ({"false_fact": lambda self, state, fact, rng: ("wall", 0, 0)}, "into another kind"),
    ({"false_fact": lambda self, state, fact, rng: (fact[0], 7, 7)}, "which is none"),
    ({"false_fact": lambda self, state, fact, rng: None}, "would always be right"),
    ({"false_fact": lambda self, state, fact, rng: (fact[0], 0, random.SystemRandom().randrange(4))}, "two answers"),
    (fails("false_fact", IndexError), "raised IndexError: oops"),
]


@pytest.mark.parametrize(("changes", "said"), FORMS, ids=[said for _, said in FORMS])
def test_forms(changes: dict[str, Any], said: str) -> None:
    refuses(mutant(**changes), said)


def _no_check(self: Any, theme: str, level: int, size: int) -> Any:
    return KeyDoor.atlas(self, "classic", level, max(size, 4 * level))


def _any_theme(self: Any, theme: str, level: int, size: int) -> Any:
    return KeyDoor.atlas(self, "classic", level, size)


def _classic_alone(self: Any, theme: str, level: int, size: int) -> Any:
    if theme != "classic":
        raise ValueError(theme)
    return KeyDoor.atlas(self, theme, level, size)


PICTURES = [
    ({"tile_ids": lambda self, state: [[0] * 4] * 4}, "two states look alike"),
    ({"tile_ids": lambda self, state: [[0] * 4] * 3}, "raised ValueError"),
    (after("tile_ids", lambda self, ids, *_: [[0 if one == 1 else one for one in row] for row in ids]), "are the same"),
    (after("draw", lambda self, picture, *_: picture.rgb()), "no Picture"),
    (after("draw", lambda self, picture, *_: replace(picture, indices=picture.indices[1:])), "instead of uint8"),
    (after("draw", lambda self, picture, *_: replace(picture, indices=picture.indices[::-1])), "draw and the tiles"),
    ({"atlas": _no_check}, "cells of less than 4 pixels"),
    ({"atlas": _any_theme}, "a look that themes does not have"),
    ({"themes": ("classic", "night"), "atlas": _classic_alone}, "drawing level 4 in the look night raised ValueError"),
    ({"themes": ("classic", "night")}, "look.night.txt is missing"),
]


@pytest.mark.parametrize(("changes", "said"), PICTURES, ids=[said for _, said in PICTURES])
def test_pictures(changes: dict[str, Any], said: str) -> None:
    refuses(mutant(**changes), said)


SYMMETRIES = [
    ({"transform": lambda self, state, symmetry: replace(state, holes=frozenset())}, "the identity changes the state"),
    ({"transform": lambda self, state, symmetry: state}, "plan fails in the image"),
    ({"orbit_key": lambda self, state: self.key(state)}, "orbit_key is not the least key"),
]


@pytest.mark.parametrize(("changes", "said"), SYMMETRIES, ids=[said for _, said in SYMMETRIES])
def test_symmetries(changes: dict[str, Any], said: str) -> None:
    refuses(mutant(FrozenLake, **changes), said)


def test_an_orbit_key_without_a_transform() -> None:
    refuses(mutant(orbit_key=lambda self, state: self.key(state)), "has orbit_key, but no transform")


def _far(self: Any, left: int | None, state: Room, cursor: Any) -> int | None:
    return left + 1 if left == 2 else left


STEPWISE = [
    (after("to_go", lambda self, left, *_: left and left + 1), "to_go says .* at the start"),
    (after("to_go", _far), "to_go says .* by what it says one action on|at the start"),
    (after("to_go", lambda self, left, state, cursor: left or 1), "which is a success|by what it says"),
    (fails("to_go"), "to_go raised KeyError: 'oops'"),
    ({"landmarks": ("goal",)}, "has one of optimistic and landmarks"),
]


@pytest.mark.parametrize(("changes", "said"), STEPWISE, ids=[said for _, said in STEPWISE])
def test_stepwise(changes: dict[str, Any], said: str) -> None:
    refuses(mutant(**changes), said)


def _believes(change: Callable[..., Any]) -> dict[str, Any]:
    """A lake whose explorers believe in something else, given what they should, the state and what they saw."""
    good = FrozenLake.optimistic
    return {
        "optimistic": lambda self, state, cursor, seen, known: change(
            good(self, state, cursor, seen, known), state, seen
        )
    }


EXPLORING = [
    ({"landmarks": ("moon",)}, "landmarks .* must be a tuple of names"),
    ({"landmarks": ["goal"]}, "landmarks .* must be a tuple of names"),
    (_believes(lambda lake, state, seen: replace(lake, holes=frozenset())), "changes a state of which every cell"),
    (
        _believes(lambda lake, state, seen: lake if len(seen) == 16 else replace(lake, holes=frozenset())),
        "is wrong after",
    ),
    (_believes(lambda lake, state, seen: replace(lake, holes=state.holes)), "depends on cells that were not seen"),
    (_believes(lambda lake, state, seen: replace(lake, goal=state.goal)), "window:1: it depends on cells that"),
    (
        _believes(lambda lake, state, seen: lake if len(seen) == 16 else 1 / 0),
        "optimistic, .* raised ZeroDivisionError",
    ),
]


@pytest.mark.parametrize(("changes", "said"), EXPLORING, ids=[said for _, said in EXPLORING])
def test_exploring(changes: dict[str, Any], said: str) -> None:
    refuses(mutant(FrozenLake, **changes), said)


PROMPTS = [
    ("visual.txt", None, "visual.txt is missing"),
    ("look.classic.txt", None, "look.classic.txt is missing"),
    ("symbolic.txt", ("{state}", ""), "needs {state}"),
    ("visual.txt", ("{look}", "{look}{state}"), "gives the state away"),
    ("direct.txt", ("<answer>", "("), "does not ask for a plan"),
    ("perceive.txt", ("The picture:", "<answer>"), "this condition is not about"),
    ("perceive.txt", ("door", "gate"), "perceive.txt does not ask for door"),
    ("visual.txt", ("D,TAKE,R,R,R,U", "D,TAKE,R,R,R"), "the plan of its worked example is wrong"),
    ("visual.txt", ("D,TAKE,R,R,R,U", "D,TAKE,R,R,R,D,U,U"), "8 actions; 6 are enough"),
    ("visual.txt", ("D,TAKE,R,R,R,U", "FLY"), "cannot be read"),
    ("visual.txt", ("goal: (0,3)", "goal: (1,3)"), "5 are enough"),
    ("act.txt", None, "act.txt is missing"),
    ("act.say.txt", None, "act.say.txt is missing"),
    ("act-symbolic.txt", ("{protocol}", ""), "act-symbolic.txt needs {protocol}"),
    ("act.say.txt", ("door", "gate"), "act.say.txt does not ask for door"),
    ("act.say.txt", ("<answer>TAKE", "<answer>FLY"), "act.say.txt: the plan of its worked example cannot be read"),
    (
        "act.say.txt",
        ("<answer>TAKE", "<answer>R"),
        "actions of its worked example are not all possible",
    ),
    ("act.say.txt", ("<answer>TAKE", "<answer>D"), "no shortest plan begins with the actions of its worked example"),
]


@pytest.mark.parametrize(("file", "change", "said"), PROMPTS, ids=[said for *_, said in PROMPTS])
def test_prompts(file: str, change: tuple[str, str] | None, said: str, tmp_path: Path) -> None:
    shutil.copytree(KEYDOOR.prompts / "default", tmp_path / "default")
    path = tmp_path / "default" / file
    if change is None:
        path.unlink()
    else:
        before = path.read_text()
        path.write_text(before.replace(*change))
        assert path.read_text() != before
    refuses(mutant(prompts=property(lambda self: tmp_path)), said)


def test_no_prompts_at_all(tmp_path: Path) -> None:
    refuses(mutant(prompts=property(lambda self: tmp_path)), "there are no prompts: .*default is missing")


def test_words_that_no_answer_is_read_by() -> None:
    refuses(mutant(action_words={"take": ("L", "grab")}), "the plan L,L,D,R,U,TAKE is read back as")


@pytest.mark.parametrize("task", by_hash.TASKS, ids=lambda task: type(task).__name__)
def test_nothing_depends_on_the_order_of_a_set(task: Any) -> None:
    refuses(task, "in another process")
