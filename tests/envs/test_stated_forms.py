"""States in the forms that models write them in, and near-misses that must state nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mgsd_envs import get_task
from support.tasks import FROZENLAKE, MAZE, MINIBEHAVIOUR

LAKE = {("size", 4), ("player", 0, 1), ("goal", 2, 2), ("hole", 1, 1), ("hole", 3, 0)}
SIDES = {("open", 0, 0, "down"), ("open", 0, 0, "right"), ("open", 0, 1, "left"), ("open", 1, 0, "up")}
WAY = {("size", 2), ("player", 0, 0), ("goal", 1, 0)} | SIDES
ROOM = {("size", 5), ("agent", 0, 2), ("printer", 2, 0), ("table", 1, 1), ("table", 1, 2)}
PLAIN = "size: 4\nplayer: (0,1)\ngoal: (2,2)\nholes: (1,1), (3,0)"
JSON = '{"size": 4, "player": [0, 1], "goal": [2, 2], "holes": [[1, 1], [3, 0]]}'
PRETTY = json.dumps(json.loads(JSON), indent=4)

LAKES = {
    "asked": PLAIN,
    "JSON": JSON,
    "JSON, no spaces": JSON.replace(" ", ""),
    "JSON, indented": PRETTY,
    "JSON in a fence": f"```json\n{PRETTY}\n```",
    "JSON behind words": f"Here is the state that I see: {JSON}\nThe route goes down.",
    "JSON, nested": f'{{"answer": {{"state": {JSON}}}, "route": "I avoid (1,1) and go to (2,2)"}}',
    "JSON and other keys": JSON.replace('"goal"', '"safe_cells": [[0, 0], [0, 2]], "goal"'),
    "JSON, named rows": '{"size": 4, "player": {"row": 0, "col": 1}, "goal": {"row": 2, "col": 2}, '
    '"holes": [{"row": 1, "col": 1}, {"row": 3, "col": 0}]}',
    "JSON, x and y": '{"size": 4, "player": {"x": 1, "y": 0}, "goal": {"x": 2, "y": 2}, '
    '"holes": [{"x": 1, "y": 1}, {"x": 0, "y": 3}]}',
    "JSON, positions": JSON.replace("[0, 1]", '{"position": [0, 1]}').replace("[2, 2]", '{"position": [2, 2]}'),
    "JSON, cells as text": '{"size": "4x4", "player": "(0,1)", "goal": "2,2", "holes": "(1,1), (3,0)"}',
    "JSON, long names": JSON.replace("size", "grid_size")
    .replace("player", "player_position")
    .replace("goal", "goalPosition"),
    "JSON, a comma too many": PRETTY.replace("\n}", ",\n}"),
    "JSON in a string": json.dumps({"state": PLAIN}),
    "JSON, a trailing note": JSON + " <- this is the state",
    "a dictionary of Python": "{'size': 4, 'player': (0, 1), 'goal': (2, 2), 'holes': [(1, 1), (3, 0)]}",
    "keys without quotes": "{size: 4, player: [0, 1], goal: [2, 2], holes: [[1, 1], [3, 0]]}",
    "JSON twice": f"{JSON}\n\nThe same again: {JSON}",
    "JSON corrected": JSON.replace("2, 2", "3, 3") + "\n" + JSON,
    "commas": PLAIN.replace("\n", ", "),
    "semicolons": PLAIN.replace("\n", "; "),
    "spaces": PLAIN.replace("\n", " "),
    "bars": PLAIN.replace("\n", " | "),
    "bars all around": f"| {PLAIN} |".replace("\n", " | "),
    "full stops": PLAIN.replace("\n", ". ") + ".",
    "one line, bold": "**size:** 4 **player:** (0,1) **goal:** (2,2) **holes:** (1,1), (3,0)",
    "one line, introduced": "State: " + PLAIN.replace("\n", ", "),
    "one line, braces": "{" + PLAIN.replace("\n", "; ") + "}",
    "one line, a route behind it": PLAIN.replace("\n", " ") + " Route: I go from (0,1) to (0,2).",
    "one line, a sentence behind it": PLAIN.replace("\n", ", ") + ". Then I walk over (0,2) and (1,2).",
    "table": "| size | 4 |\n| player | (0,1) |\n| goal | (2,2) |\n| holes | (1,1), (3,0) |",
    "table with a header": "| Field | Value |\n|---|---|\n| Size | 4x4 |\n| **Player** | (0,1) |\n"
    "| **Goal** | `(2,2)` |\n| Holes | (1,1), (3,0) |\n",
    "table without outer bars": "field | value\n--- | ---\nsize | 4\nplayer | (0,1)\ngoal | (2,2)\n"
    "holes | (1,1), (3,0)",
    "table, fields in columns": "| size | player | goal | holes |\n|:--:|---|---|---|\n"
    "| 4 | (0,1) | (2,2) | (1,1), (3,0) |",
    "table of rows and columns": "size: 4\n\n| thing | row | column |\n| --- | --- | --- |\n| player | 0 | 1 |\n"
    "| goal | 2 | 2 |\n| hole | 1 | 1 |\n| hole | 3 | 0 |",
    "table of columns and rows": "size: 4\n| thing | col | row |\n|---|---|---|\n| player | 1 | 0 |\n"
    "| goal | 2 | 2 |\n| hole | 1 | 1 |\n| hole | 0 | 3 |",
    "back ticks": "`size`: `4`\n`player`: `(0,1)`\n`goal`: `(2,2)`\n`holes`: `(1,1)`, `(3,0)`",
    "bold names": "- **Size**: 4\n- **Player**: (0,1)\n- **Goal**: (2,2)\n- **Holes**: (1,1), (3,0)",
    "bold values": "size: **4**\nplayer: **(0,1)**\ngoal: **(2,2)**\nholes: **(1,1)**, **(3,0)**",
    "italics": "_size_: 4\n_player_: (0,1)\n*goal*: (2,2)\n*holes*: (1,1), (3,0)",
    "headings": "## Size\n4\n## Player\n(0,1)\n## Goal\n(2,2)\n## Holes\n- (1,1)\n- (3,0)\n## Route\nI go (0,2).",
    "headings with colons": "### Size: 4\n### Player: (0,1)\n### Goal: (2,2)\n### Holes:\n\n- (1,1)\n- (3,0)\n",
    "quoted": "> size: 4\n> player: (0,1)\n> goal: (2,2)\n> holes:\n> - (1,1)\n> - (3,0)",
    "numbers": "1. size: 4\n2) player: (0,1)\n(3) goal: (2,2)\n4. holes: (1,1), (3,0)",
    "letters": "a) size: 4\nb) player: (0,1)\nc) goal: (2,2)\nd) holes: (1,1), (3,0)",
    "stars and dots": "* size: 4\n• player: (0,1)\n· goal: (2,2)\n+ holes: (1,1), (3,0)",
    "pictograms": "📏 Size: 4\n🧝 Player: (0,1)\n🎁 Goal: (2,2)\n🕳️ Holes: (1,1), (3,0)",
    "a list of holes": "size: 4\nplayer: (0,1)\ngoal: (2,2)\nholes:\n  1. (1,1)\n  2. (3,0)\nThe rest is ice.",
    "a list below a blank line": "size: 4\nplayer: (0,1)\ngoal: (2,2)\n**Holes:**\n\n* (1,1)\n* (3,0)\n\n(0,2) is ice.",
    "row and column": "size: 4\nplayer: row 0, column 1\ngoal: row 2, column 2\n"
    "holes: row 1, column 1; row 3, column 0",
    "row and column with colons": "size: 4\nplayer: row: 0, col: 1\ngoal: row=2, col=2\n"
    "holes: (row: 1, col: 1), (row: 3, col: 0)",
    "column and row": "size: 4\nplayer: column 1, row 0\ngoal: column 2, row 2\nholes: column 1 row 1, column 0 row 3",
    "rows and columns on lines": "size: 4\nplayer:\n  row: 0\n  column: 1\ngoal:\n  row: 2\n  column: 2\n"
    "holes: (1,1), (3,0)",
    "r and c": "size: 4\nplayer: r0c1\ngoal: R2C2\nholes: r1c1, r3c0",
    "x and y": "size: 4\nplayer: x=1, y=0\ngoal: (x=2, y=2)\nholes: (x=1, y=1), (x: 0, y: 3)",
    "names say the order": PLAIN.replace("player:", "player (row, column):").replace("goal:", "goal (r, c):"),
    "names say the base": PLAIN.replace("player:", "player (0-indexed):"),
    "a count": PLAIN.replace("holes:", "holes (2):"),
    "positions": PLAIN.replace("player", "Player position")
    .replace("goal", "goal's location")
    .replace("holes", "hole cells"),
    "positions of": PLAIN.replace("player", "Position of the player").replace("goal", "location of goal"),
    "articles": PLAIN.replace("player", "The player").replace("goal", "the goal").replace("holes", "The holes"),
    "starts": PLAIN.replace("player", "Player start position").replace("size", "Grid size"),
    "no brackets": "size: 4\nplayer: 0,1\ngoal: 2, 2\nholes: 1,1; 3,0",
    "no brackets, one line": "size: 4, player: 0, 1, goal: 2, 2, holes: 1,1, 3,0",
    "no brackets, spaces": "size: 4 player: 0 1 goal: 2 2 holes: (1,1) (3,0)",
    "no brackets, lines": "size: 4\nplayer: 0,1\ngoal: 2,2\nholes:\n- 1, 1\n- 3, 0",
    "equals": PLAIN.replace(": ", "="),
    "walrus": PLAIN.replace(": ", " := "),
    "arrows": PLAIN.replace(": ", " -> "),
    "other arrows": PLAIN.replace(":", " →"),
    "fat arrows": PLAIN.replace(":", " =>"),
    "is": "size is 4\nplayer is (0,1)\ngoal is (2,2)\nholes are (1,1) and (3,0)",
    "dashes": "- **Size** – 4\n- **Player** — (0,1)\n- **Goal** - (2,2)\n- **Holes** – (1,1), (3,0)",
    "and": PLAIN.replace("), (", ") and ("),
    "spaces between": PLAIN.replace("), (", ") ("),
    "all in brackets": PLAIN.replace("(1,1), (3,0)", "{(1,1), (3,0)}"),
    "upper case": PLAIN.upper(),
    "full-width": "ｓｉｚｅ：４\nｐｌａｙｅｒ：（０，１）\ngoal：（２，２）\nholes：（１，１）、（３，０）",
    "corner brackets": "size：4；player：【0，1】；goal：【2，2】；holes：【1，1】，【3，0】",
    "Unicode spaces": PLAIN.replace(" ", "\u00a0").replace(",", "\u2009,\u202f"),
    "zero-width spaces": PLAIN.replace(":", "\u200b:").replace("(", "\ufeff("),
    "line ends": PLAIN.replace("\n", "\r\n"),
    "old line ends": PLAIN.replace("\n", "\r"),
    "line separators": PLAIN.replace("\n", "\u2028"),
    "tags for fields": "<size>4</size>\n<player>(0,1)</player><goal>(2,2)</goal>\n<holes>(1,1), (3,0)</holes>",
    "introduced by a sentence": "Here is the state that I see: " + PLAIN.replace("\n", "; "),
    "at": PLAIN.replace("player:", "player is at:").replace("holes:", "holes at:"),
    "indices": PLAIN.replace("(0,1)", "row index 0, column index 1"),
    "LaTeX": PLAIN.replace("(0,1)", "$(0,1)$").replace("(2,2)", "\\boxed{(2,2)}"),
    "angle brackets": PLAIN.replace("(0,1)", "⟨0,1⟩").replace("(2,2)", "《2，2》"),
    "pictograms behind": PLAIN.replace("(0,1)", "(0,1) 🧝").replace("(2,2)", "(2,2)🎁"),
    "tags": f"<state>\n{PLAIN}\n</state><|im_end|>",
    "line breaks in HTML": PLAIN.replace("\n", "<br>"),
    "box tokens": PLAIN.replace("(0,1)", "<|box_start|>(0,1)<|box_end|>"),
    "4 by 4": PLAIN.replace("4", "4 by 4"),
    "4 x 4": PLAIN.replace("4", "4 × 4 grid"),
    "rows and columns": PLAIN.replace("4", "4 rows, 4 columns"),
    "size twice": PLAIN.replace("4", "4 (4x4)"),
    "remarks": PLAIN.replace("(0,1)", "(0,1) (the elf in the green hat)").replace("(2,2)", "(2,2) # the present"),
    "places": PLAIN.replace("(0,1)", "at (0,1), top row").replace("(1,1)", "the cells (1,1)"),
    "cells said twice": PLAIN.replace("(0,1)", "(0,1), row 0, column 1"),
    "a negated sentence": PLAIN + ". There is no hole at (0,0).",
    "what was tried before": "player: (3,3)\nholes: (0,0)\nNo, that is wrong.\n\n" + PLAIN,
    "numbered holes": PLAIN.replace("holes: (1,1), (3,0)", "hole 1: (1,1)\n- Hole 2: (3,0)"),
    "numbered holes below a label": PLAIN.replace("holes: (1,1), (3,0)", "holes:\n- Hole #1: (1,1)\n- Hole #2: (3,0)"),
    "numbered holes in JSON": JSON.replace('"holes": [[1, 1], [3, 0]]', '"hole1": [1, 1], "hole2": [3, 0]'),
    "the order in the value": PLAIN.replace("player:", "player: (row, column) ="),
    "number signs": PLAIN.replace("(0,1)", "row #0, column #1"),
    "dots": PLAIN + ", ...",
    "remarks behind a dash": PLAIN.replace("(0,1)", "(0,1) – the elf").replace("(2,2)", "(2,2) - the present"),
    "lists of rows and columns": "size: 4\nplayer: [0, 1]\ngoal: [2, 2]\nholes:\n"
    "  - row: 1\n    col: 1\n  - row: 3\n    col: 0",
    "a route of arrows": PLAIN.replace("(0,1)", "(0,1) → (0,2)"),
    "what is asked, echoed": "size: the number of rows\nplayer: (row,column)\nholes: the cells of all holes\n" + PLAIN,
}

MAZES = {
    "letters": "(0,0) DR, (0,1) L, (1,0) U",
    "lower case": "(0,0) dr, (0,1) l, (1,0) u",
    "words": "(0,0) down, right; (0,1) left; (1,0) up",
    "words and colons": "(0,0): down and right, (0,1): left, (1,0): up",
    "equals": "(0,0)=DR, (0,1)=L, (1,0)=U",
    "slashes": "(0,0) D/R, (0,1) L, (1,0) U",
    "brackets": "(0,0): [down, right], (0,1): [left], (1,0): [up]",
    "parentheses": "(0,0) (D, R), (0,1) (L), (1,0) (U)",
    "no commas": "(0,0) DR (0,1) L (1,0) U",
    "lines": "\n(0,0): D, R\n(0,1): L\n(1,0): U",
    "list and arrows": "\n- (0,0) → down, right\n- (0,1) -> left\n- (1,0) => up\n",
    "numbered": "\n1. (0,0): down, right\n2. (0,1): left\n3. (1,0): up\nThe way is short.",
    "sides as arrows": "(0,0): ↓→, (0,1): ←, (1,0): ↑",
    "sides said": "(0,0) open to the right and down, (0,1) open left, (1,0) open up",
    "closed cells": "(0,0) DR, (0,1) L, (1,0) U, (1,1) none",
    "no brackets": "0,0 DR; 0,1 L; 1,0 U",
    "no brackets, colons": "0,0: DR\n- 0,1: L\n- 1,0: U",
    "rows and columns": "row 0, column 0: down, right; row 0, column 1: left; row 1, column 0: up",
    "r and c": "r0c0 DR, r0c1 L, r1c0 U",
    "object": '{"(0,0)": "DR", "(0,1)": "L", "(1,0)": "U"}',
    "object of lists": '{"0,0": ["down", "right"], "0,1": ["left"], "1,0": ["up"]}',
    "object on lines": '{\n  "0,0": ["D", "R"],\n  "0,1": ["L"],\n  "1,0": ["U"],\n  "1,1": []\n}',
    "triples": '[[0, 0, "DR"], [0, 1, "L"], [1, 0, "U"]]',
    "objects": '[{"cell": [0, 0], "open": ["down", "right"]}, {"cell": [0, 1], "open": ["left"]}, '
    '{"cell": [1, 0], "open": ["up"]}]',
    "named rows": '[{"row": 0, "col": 0, "open": "DR"}, {"row": 0, "col": 1, "open": "L"}, '
    '{"row": 1, "col": 0, "open": "U"}]',
    "full-width": "（0，0）：ＤＲ，（0，1）：Ｌ，（1，0）：Ｕ",
}

ROOMS = {
    "asked": "size: 5\nagent: (0,2)\nprinter: (2,0)\ntable: (1,1), (1,2)",
    "commas": "size: 5, agent: (0,2), printer: (2,0), table: (1,1), (1,2)",
    "bars": "size: 5 | agent: (0,2) | printer: (2,0) | table: (1,1), (1,2)",
    "JSON": '{"size": 5, "agent": [0, 2], "printer": [2, 0], "table": [[1, 1], [1, 2]]}',
    "JSON, longer names": '{"grid_size": 5, "agent_pos": [0, 2], "printer_pos": [2, 0], '
    '"table_cells": [[1, 1], [1, 2]]}',
    "the questions' other answers": "size: 5\nagent: (0,2)\nprinter: (2,0)\ntable: (1,1), (1,2)\n"
    "beside printer: (1,0), (3,0)\nbeside table: (0,1)\nmoves: LR",
}

NOTHING = {
    "sentences": "The size is 4.\nThe player stands at (0,1).\nThe goal is at (2,2).\nThe holes are at (1,1).",
    "sentences without articles": "Player is at (0,1).\nGoal is in the corner (2,2).\nHoles are at (1,1) and (3,0).",
    "no separators": PLAIN.replace(":", ""),
    "a name in prose": "The hole nearest to the goal: (1,2)\nI stand next to the player: (0,1)",
    "a name behind a comma in prose": "Looking at the picture, player: (0,1)",
    "the templates": "size: the number of rows\nplayer: (row,column)\ngoal: (row,column)\n"
    "holes: the cells of all holes",
    "negated holes": "holes: no hole at (1,2)\nplayer: not (0,1)\ngoal: not at (2,2)",
    "none at a cell": "holes: none at (1,2)",
    "exceptions": "holes: all but (0,0)\ngoal: anywhere except (0,0)",
    "doubt": "player: (0,1)?\ngoal: maybe (2,2)\nsize: 3 or 4\nholes: (1,1) or (3,0)",
    "doubtful remarks": "player: (0,1) (not sure)\ngoal: (2,2) (a guess)\nsize: 4 (probably)",
    "two players": "player: (0,1) or (0,2)\ngoal: (2,2), (3,3)",
    "two sizes": "size: 4x5",
    "two sizes in JSON": '{"size": [4, 5]}',
    "other comparisons": "size != 4\nsize >= 4\nsize ≠ 4\nsize <= 4\nsize ≈ 4",
    "struck out": "~~player: (0,1)~~\nplayer: ~~(0,1)~~\n<s>goal: (2,2)</s>\nholes: <del>(1,1)</del>",
    "negative numbers": "player: (-1,2)\ngoal: (1,-2)\nholes: (−1,2), -1,2\nsize: -4",
    "fractions": "player: (0.5,1)\ngoal: (1,2.5)\nsize: 4.5\nholes: 1.5,2.5",
    "huge numbers": f"size: {'9' * 5000}\nplayer: ({'1' * 5000},1)\ngoal: (1,12345)\nholes: 12345,1; 1,12345",
    "three numbers": "player: (0,1,2)\ngoal: 0,1,2\nholes: [1, 1, 3, 0]",
    "one number": "player: 3\ngoal: row 2\nholes: 5, 7",
    "cut off": '{"player": [0,\nholes: (1,1',
    "JSON cut off": '{"size": 12345, "holes": [[1, 1], [3',
    "two rows": "player: row 0, row 1\ngoal: (x=1, row=2)",
    "x before y": "Cells are (x,y).\nplayer: (0,1)\ngoal: [2,2]\nholes: 1,1; 3,0",
    "columns before rows": "player (col, row): (0,1)\nholes: (1,1), (3,0)",
    "counted from one": "player (1-indexed): (1,2)",
    "other names": "hole_count: (0,1)\nmyholes: (0,1)\nnon-player x: (0,1)\nsafe holes: (0,0)\nholes avoided: (0,0)",
    "afterwards": "player after the move: (0,1)\nplayer (after moving): (0,2)\nplayer moves to: (0,2)",
    "quoted in prose": 'So, "player": (0,1) it is, and "goal": (2,2) too',
    "steps": "Step 1: player: (0,2)\nAfter D: player: (1,2)",
    "suppose": "If I go down: player: (1,1)\nSuppose player: (0,1)",
    "a plan behind a name": "Player → (0,2) → (1,2) → (2,2)",
    "other keys": '{"not_holes": [[1, 1]], "visited": {"cells": [[0, 1]]}, "holes_avoided": [[1, 1]]}',
    "a key in a value": '{"route": "past the holes: (1,1)"}',
    "two states in one object": '{"before": {"player": [0, 1]}, "after": {"player": [0, 2]}}',
    "unknown things in a value": '{"player": {"row": 0, "col": 1, "was": {"row": 1, "col": 1}}}',
    "nulls": '{"size": null, "player": null, "goal": [null, null], "holes": []}',
    "booleans": '{"holes": [[true, false]], "player": [true, 1]}',
    "a table of steps": "| step | player |\n|---|---|\n| 1 | (0,2) |",
    "a table of several states": "| player | goal |\n|---|---|\n| (0,1) | (2,2) |\n| (0,2) | (2,2) |",
    "a way between cells": "holes: (0,0) -> (0,1)\nplayer -> (0,1) -> (0,2)",
    "a range": "holes: (0,0) to (0,2)\ngoal: (0,0)..(0,2)",
    "taken back": "size: 4\nplayer: (0,1)\nholes: (1,1)\nsize: unknown\nplayer: ?\nholes: none",
    "empty": "size:\nplayer:\ngoal:\nholes:",
    "dashes": "size: -\nplayer: —\ngoal: n/a\nholes: -",
    "numbered players": "player 1: (0,1)\nplayer 2: (0,2)",
    "a doubtful dash": "player: (0,1) - or so\ngoal: (2,2) - not sure",
    "cells of another grid": "player: A1\ngoal: B-2\nholes: a1, b2",
}

NO_SIDES = {
    "walls": "(0,0) wall left, (0,1) walls: up",
    "negated": "(0,0) not left, (0,1) never up",
    "no openings": "(0,0) no openings",
    "booleans": '{"0,0": {"left": false, "right": true}}',
    "ways": "(0,0) -> (0,1), (0,1) → (1,1)",
    "sides first": "left: (0,0), right: (0,1)",
    "doubled": "(0,0) closed, (0,1) blocked R",
    "by place": '[["DR", "L"], ["U", ""]]',
    "prose": "(0,0) R since the way left is shut",
}


@pytest.mark.parametrize("form", LAKES)
def test_a_lake_in_every_form(form: str) -> None:
    assert FROZENLAKE.parse(LAKES[form]) == LAKE


@pytest.mark.parametrize("form", MAZES)
def test_a_maze_in_every_form(form: str) -> None:
    assert MAZE.parse(f"size: 2\nplayer: (0,0)\ngoal: (1,0)\nopen: {MAZES[form]}") == WAY


@pytest.mark.parametrize("form", [form for form in MAZES if MAZES[form][0] in "{["])
def test_a_maze_in_json(form: str) -> None:
    text = f'```json\n{{"size": 2, "player": [0, 0], "goal": [1, 0],\n "open": {MAZES[form]}}}\n```'
    assert MAZE.parse(text) == WAY


@pytest.mark.parametrize("form", ROOMS)
def test_a_room_in_every_form(form: str) -> None:
    assert MINIBEHAVIOUR.parse(ROOMS[form]) == ROOM


@pytest.mark.parametrize("form", NOTHING)
def test_near_misses_state_nothing(form: str) -> None:
    assert FROZENLAKE.parse(NOTHING[form]) == set()


@pytest.mark.parametrize("form", NO_SIDES)
def test_near_misses_open_nothing(form: str) -> None:
    assert MAZE.parse(f"open: {NO_SIDES[form]}") == set()


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("player: (0,1), goal (2,2)", set()),
        ("size: 4 player: (0,1) next to the goal: (2,2)", {("size", 4), ("player", 0, 1)}),
        ("holes: (1,1), safe cells: (2,2)", {("hole", 1, 1)}),
        ("holes: (1,1), (3,0). I avoid (2,2).", {("hole", 1, 1), ("hole", 3, 0)}),
        ("holes: (1,1) so I go over (2,2)", set()),
        ("holes: (1,1)\n(2,2) is free", {("hole", 1, 1)}),
        ("holes: (1,1)\n(2,2) is the bottom right corner", {("hole", 1, 1)}),
        ("holes: (1,1) is on the left", set()),
        ("player: (0,1)\n(0,2)\n(0,3)", {("player", 0, 1)}),
        ("player: (0,1)\nThe player is at (0,2)", {("player", 0, 1)}),
        ('{"player": [0, 1], "player_before": [0, 2]}', {("player", 0, 1)}),
        ('{"player": [0, 1]} and then {"player": [0, 2]}', {("player", 0, 2)}),
        ('{"player": [0, 1], "holes": {"count": 2, "cells": [[1, 1]]}}', {("player", 0, 1)}),
        ("size: 3\nsize: 4x5", set()),
        ("hole 1: (0,0)\nhole 1: (1,1)\nhole 2: (2,2)", {("hole", 1, 1), ("hole", 2, 2)}),
        ("player: (0,1), corrected: (0,2)", set()),
        ("holes: (1,1)\n- none at (2,2)", {("hole", 1, 1)}),
    ],
)
def test_what_is_stated_and_no_more(text: str, facts: set[Any]) -> None:
    assert FROZENLAKE.parse(text) == facts


def test_labelled_statements(data_root: Path) -> None:
    path = data_root / "answers" / "states.jsonl"
    if not path.exists():
        pytest.skip(f"no labelled statements at {path}")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    read = [(row, get_task(row["task"]).parse(row["text"]), {tuple(fact) for fact in row["facts"]}) for row in rows]
    assert [row["why"] for row, facts, true in read if facts - true] == []
    assert [row["why"] for row, facts, true in read if true - facts] == []


def test_every_example_of_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "states.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```text\n# ([\w-]+)\n(.*?)\n---\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL)
    assert len(examples) == page.count("```text") > 20
    for task, text, stated in examples:
        facts = [fact.split() for fact in stated.split(" · ")] if stated != "nothing" else []
        assert get_task(task).parse(text) == {_fact(*words) for words in facts}, text


def _fact(name: str, *words: str) -> tuple[int | str, ...]:
    numbers = [int(word) for word in words if word.isdigit()]
    label = " ".join(words[len(numbers) :])
    return (name, *numbers, label) if label else (name, *numbers)
