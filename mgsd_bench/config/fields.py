"""What a field of settings takes, said in its type: ``rank: Count``, ``theme: Annotated[str, OneOf(themes)]``.

:func:`mgsd_bench.config.validate` reads these, and so do JSON Schemas; pydantic itself is imported only then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


@dataclass(frozen=True, slots=True, eq=False)
class Says:
    """What a message says of a wrong value.

    Attributes:
        what: what the value must be, such as ``a number of seconds``; or all that follows the field's name in the
            message, if ``{found}``, which stands for the value, is in it.
    """

    what: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The type's own checks, with these words for whatever they refuse."""
        return _say(handler(source), self.what)


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """A number, whole if the field's type is ``int``.

    Attributes:
        least: the smallest that is taken.
        most: the largest that is taken.
        above: a number that only larger ones are taken of, if there is one.
        what: as in :class:`Says`; by default the kind of number and its bounds.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    what: str = ""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The type's own checks, and the bounds."""
        schema: Any = handler(source)
        bounds = {"ge": self.least, "le": self.most, "gt": self.above}
        schema |= {name: bound for name, bound in bounds.items() if bound is not None}
        return _say(schema, self.what or f"a {'whole ' * (schema['type'] == 'int')}number{self._range()}")

    def _range(self) -> str:
        if self.least is not None and self.most is not None:
            return f" between {self.least:g} and {self.most:g}"
        if self.least is not None:
            return f" of {self.least:g} or more"
        return "" if self.above is None else f" above {self.above:g}"


@dataclass(frozen=True, slots=True, eq=False)
class OneOf:
    """One of some texts, for which ``Literal`` would do if they were known to the type checker.

    Attributes:
        known: the texts, or what gives them when they are first needed.
    """

    known: Collection[str] | Callable[[], Collection[str]]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """These texts and no others."""
        from pydantic_core import core_schema

        return core_schema.literal_schema(list(self.known() if callable(self.known) else self.known))


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """Something more that must hold of a value whose type is right.

    Attributes:
        problem: what to say of a value, as in :class:`Says`; None if nothing is wrong with it.
    """

    problem: Callable[[Any], str | None]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The type's own checks, and then this one."""
        from pydantic_core import PydanticCustomError, core_schema

        def check(value: Any) -> Any:
            problem = self.problem(value)
            if problem is not None:
                raise PydanticCustomError(SAYS, "{says}", {"says": problem})
            return value

        return core_schema.no_info_after_validator_function(check, handler(source))


@dataclass(frozen=True, slots=True, eq=False)
class NumberOr:
    """A text that is a whole number, or a word for none; a file may also write the number as one.

    Attributes:
        word: the word.
        least: the smallest number that is taken.
    """

    word: str
    least: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Such texts and numbers, as texts."""
        from pydantic_core import core_schema

        checked = Check(self._problem).__get_pydantic_core_schema__(source, handler)
        return core_schema.no_info_before_validator_function(_number_as_text, checked)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A text or a number."""
        return {"anyOf": [handler(schema), {"type": "integer", "minimum": self.least}]}

    def _problem(self, text: str) -> str | None:
        if text == self.word or (text.isascii() and text.isdigit() and len(text) < 9 and self.least <= int(text)):
            return None
        return f"a whole number of {self.least} or more, or {self.word}"


def _number_as_text(value: Any) -> Any:
    return str(value) if type(value) is int else value


Count = Annotated[int, Bounds(1)]
"""A whole number, 1 or more."""

MOST_REPEATS = 99_999
"""No run folder holds more answers to one question."""

Repeats = Annotated[int, Bounds(1, MOST_REPEATS, what=f"a whole number of 1 or more, and at most {MOST_REPEATS:,}")]
"""How often a question is asked."""

Natural = Annotated[int, Bounds(0)]
"""A whole number, 0 or more."""

Amount = Annotated[float, Bounds(0)]
"""A number, 0 or more."""

Share = Annotated[float, Bounds(0, 1)]
"""A number from 0 to 1."""


def _say(schema: CoreSchema, what: str) -> CoreSchema:
    from pydantic_core import core_schema

    return core_schema.custom_error_schema(schema, custom_error_type=SAYS, custom_error_message=what)


SAYS = "says"
"""The type of the errors whose message is what a field says of itself."""
