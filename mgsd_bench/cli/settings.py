"""Commands whose options are the fields of settings: the signature is made of them, and a file may give the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_origin, get_type_hints

import typer

from mgsd_bench.backends.ray_settings import names_cluster
from mgsd_bench.config.layers import Key, Layers, Option, read_extended
from mgsd_bench.config.settings import Declared, declared, defaults_of, read_settings
from mgsd_bench.errors import SettingValue, Spelling, UserError, command_line, option, setting_of
from mgsd_bench.plain import say

SPELLING = "mgsd_bench.spelling"
"""Where a command's context keeps how its settings are spelled."""

NOT_IN_FILES = ("trust_remote_code",)
"""Settings that a file cannot switch on: whoever sent the file would decide what runs here."""

_ADDRESS = "engine.address", "HOST:PORT"

Command = Callable[..., None]

_Config = Annotated[
    Path | None, typer.Option("--config", help="YAML file with the same settings; options override it.", metavar="FILE")
]
_Overrides = Annotated[
    list[str],
    typer.Option("--set", help="Change one setting after all others: --set seed=1", metavar="KEY=VALUE"),
]


def with_settings(model: type, *, file: bool = True, optional: bool = False) -> Callable[[Command], Command]:
    """A command that takes settings as its first argument: each of their fields becomes an option.

    Args:
        model: the settings, a dataclass.
        file: whether they can be given by a file as well.
        optional: give the command None instead where a setting that has no default is not given.
    """

    def decorate(command: Command) -> Command:
        hints = get_type_hints(command, include_extras=True)
        own = [_keyword(name, hints[name], each.default) for name, each in signature(command).parameters.items()][1:]
        taken = [_keyword("context", typer.Context)]
        if file:
            taken += [_keyword("config", _Config, None), _keyword("overrides", _Overrides, [])]
        taken += [_parameter(field) for field in declared(model).values()]

        def run(context: typer.Context, **given: Any) -> None:
            rest = {each.name: given.pop(each.name) for each in own}
            layers = _layers(model, context, given)
            context.meta[SPELLING] = _spelling(layers)
            needed = (name for name, field in declared(model).items() if field.default is MISSING)
            missing = next((name for name in needed if layers.values.get(name) is None), None)
            if missing and not optional:
                raise UserError(f"{option(missing)}: is missing; give it{', or a file that has it' if file else ''}")
            if not missing and (found := defaults_of(model, layers)).values:
                for origin in dict.fromkeys(found.origins[name,] for name in found.values):
                    of = (name for name in found.values if found.origins[name,] == origin)
                    say(f"from {origin}: {', '.join(f'{name} {_shown(found.values[name])}' for name in of)}", err=True)
                layers = layers.over(found, ())
            command(None if missing else read_settings(model, layers), **rest)

        parameters = [*taken, *own]
        run.__dict__["__signature__"] = Signature(parameters)
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def option_of(model: type, name: str) -> Any:
    """The option that a field of settings is, for a command that takes few of them."""
    return _option(declared(model)[name])


def key_values(pairs: list[str]) -> dict[str, Any]:
    """What KEY=VALUE pairs say; values are JSON where they can be read as such, else texts.

    Raises:
        UserError: one is not KEY=VALUE.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UserError(f"-M {pair}: write KEY=VALUE, for example -M max_num_seqs=64")
        try:
            found[key] = json.loads(value)
        except (ValueError, RecursionError):
            found[key] = value  # a bare word is a text
    return found


def _keyword(name: str, annotation: Any, default: Any = Parameter.empty) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _option(field: Declared) -> Any:
    says = field.setting
    return typer.Option(
        command_line(field.name, None), help=says.help, metavar=says.metavar, rich_help_panel=says.panel
    )


def _parameter(field: Declared) -> Parameter:
    """A field as a parameter that typer makes an option of; lists and mappings are options that may be repeated."""
    kind, default = field.type, field.default
    if get_origin(kind) in (tuple, Mapping):
        kind, default = list[str], [str(item) for item in default] if get_origin(kind) is tuple else []
    elif default is MISSING:
        kind, default = kind | None, None
    return _keyword(field.name, Annotated[kind, _option(field)], default)


def _layers(model: type, context: typer.Context, given: dict[str, Any]) -> Layers:
    """What a file, options and ``--set`` say, later ones first; defaults are left to the settings."""
    values: dict[str, Any] = {}
    origins: dict[Key, str] = {(): str(context.info_name)}
    for name, field in declared(model).items():
        source = context.get_parameter_source(name)
        if source is None or source.name == "DEFAULT":
            continue
        values[name] = key_values(given[name]) if get_origin(field.type) is Mapping else given[name]
        origins[name,] = Option(option(name, ",".join(given[name]) if isinstance(given[name], list) else given[name]))
        if isinstance(values[name], dict):
            origins |= {(name, key): Option(option(f"{name}.{key}", each)) for key, each in values[name].items()}
    layers = Layers(values, origins)
    if given.get("config") is not None:
        config = read_extended(given["config"], _beside)
        for name in NOT_IN_FILES:
            if config.values.get(name):
                raise config.error((name,), f"no file can switch this on; give {command_line(name, True)}")
        if names_cluster(config.values.get("engine")):
            raise config.error(("engine", "address"), f"no file can name a cluster; give {command_line(*_ADDRESS)}")
        layers = layers.over(config, ())
    for pair in given.get("overrides", ()):
        layers = layers.assign(pair, "")
    return layers


def _beside(name: str, folder: Path) -> Path:
    if not (folder / name).exists():
        raise UserError(f"{folder / name}: no such file; name it from the folder of the file that extends it")
    return folder / name


def _spelling(layers: Layers) -> Spelling:
    """Settings as a command's user gave them: in a file, by ``--set``, or else as the options that they are."""

    def spelled(name: str, value: SettingValue) -> str:
        given: Any = layers.values
        for key in name.split("."):
            given = given.get(key) if isinstance(given, dict) else None
        origin = layers.origins.get(tuple(name.split(".")))
        shown = {str(item) for item in (given if isinstance(given, list) else [given])}
        if origin is None or isinstance(origin, Option) or not (value is None or str(value) in shown):
            return command_line(name, value)
        if setting_of(origin) == "overrides":  # not as it was written: that could show a secret
            return command_line("overrides", name if value is None else f"{name}={value}")
        return f"{origin}: {name}" if value is None else f"{origin}: {name}: {value}"

    return spelled
