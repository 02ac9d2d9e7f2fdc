"""Names, actions, rules, fields and looks: what a task says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mgsd_envs.grid import MAX_LEVEL
from mgsd_envs.task import NAME, UNKNOWN_ACTION, Task

if TYPE_CHECKING:
    from mgsd_envs.testing.contract import Check

_SEPARATORS = re.compile(r"[ _-]")


def check_declarations(check: Check) -> None:
    """Everything that a task declares is of the right type, and no two things have one name."""
    task = check.task
    check.that(isinstance(task, Task), "is no mgsd_envs.Task: derive its class from that")
    with check.working("one of name, levels, actions, rules, fields, themes"):
        check.that(_is_name(task.name), f"name is {task.name!r}; write small letters, digits, '_' and '-'")
        _check_levels(check)
        _check_actions(check)
        _check_rules(check)
        _check_fields(check)
        check.that(isinstance(task.themes, tuple) and task.themes, "themes must be a tuple of names, not empty")
        check.that(all(map(_is_name, task.themes)), f"themes {task.themes!r} are not all names of small letters")
        check.that(_once(task.themes), f"themes {task.themes!r}: one stands twice")
        shown = task.minigrid.objects if task.minigrid else {}
        unknown = [name for name in shown if name not in {one.fact for one in task.fields}]
        check.that(not unknown, f"minigrid shows {', '.join(unknown)}, which no field tells")
        check.that(task.themes[0] == "classic", f"the first theme is {task.themes[0]!r}; the usual one is 'classic'")


def _check_levels(check: Check) -> None:
    task = check.task
    lowest, highest = task.min_level, task.max_level
    check.that(
        type(lowest) is int and type(highest) is int and 1 <= lowest <= highest <= MAX_LEVEL,
        f"min_level {lowest!r} and max_level {highest!r} must be whole numbers from 1 to {MAX_LEVEL}",
    )
    levels = list(task.levels)
    check.that(levels, "levels is empty")
    check.that(
        all(type(level) is int and lowest <= level <= highest for level in levels),
        f"levels {levels} are not all whole numbers from min_level {lowest} to max_level {highest}",
    )
    check.that(_once(levels), f"levels {levels}: one stands twice")


def _check_actions(check: Check) -> None:
    task = check.task
    actions, words = task.actions, task.action_words
    check.that(isinstance(actions, tuple) and actions, "actions must be a tuple of names, not empty")
    check.that(all(map(_is_name, actions)), f"actions {actions!r} are not all names of small letters")
    check.that(_once(map(_plain, actions)), f"actions {actions!r}: two are written alike")
    check.that(isinstance(words, Mapping), "action_words must map actions to tuples of words")
    for action, others in words.items():
        check.that(action in actions, f"action_words: {action!r} is no action")
        check.that(
            isinstance(others, tuple) and all(isinstance(word, str) and word.strip() for word in others),
            f"action_words of {action!r} must be a tuple of words, not {others!r}",
        )
    meant = {_plain(action): action for action in actions}
    for action, others in words.items():
        for word in others:
            other = meant.setdefault(_plain(word), action)
            check.that(other == action, f"action_words: {word!r} stands for {action} and for {other}")


def _check_rules(check: Check) -> None:
    rules = check.task.rules
    check.that(isinstance(rules, Mapping), "rules must map names to one line each")
    check.that(all(map(_is_name, rules)), f"rules {list(rules)!r} are not all names of small letters")
    check.that(UNKNOWN_ACTION not in rules, f"rules: {UNKNOWN_ACTION} is every task's own; leave it out")
    for name, line in rules.items():
        check.that(_is_line(line), f"rules: {name} needs one line for people, not {line!r}")
    fatal = check.task.fatal
    check.that(isinstance(fatal, frozenset), f"fatal must be a frozenset of rules, not {fatal!r:.100}")
    unknown = ", ".join(sorted(map(str, fatal - rules.keys())))
    check.that(not unknown, f"fatal has {unknown}, which rules does not have")


def _check_fields(check: Check) -> None:
    fields = check.task.fields
    check.that(isinstance(fields, tuple) and fields, "fields must be a tuple of mgsd_envs.statements.Field, not empty")
    size = [one for one in fields if one.fact == "size"]
    check.that(len(size) == 1 and size[0].kind == "number", "fields: one of kind number must tell the fact 'size'")
    names = [name for one in fields for name in {_plain(name) for name in (one.name, *one.aliases)}]
    check.that(all(names) and all(one.name == one.name.lower() for one in fields), "fields: names are in lower case")
    check.that(_once(names), f"fields: two have one name or alias ({', '.join(names)})")
    check.that(_once(one.fact for one in fields), "fields: two tell the same facts")


def _is_name(name: object) -> bool:
    return isinstance(name, str) and NAME.fullmatch(name) is not None


def _is_line(text: object) -> bool:
    return isinstance(text, str) and bool(text.strip()) and len(text.splitlines()) == 1


def _plain(name: str) -> str:
    return _SEPARATORS.sub("", name.lower())


def _once(items: Iterable[object]) -> bool:
    listed = list(items)
    return len(set(listed)) == len(listed)
