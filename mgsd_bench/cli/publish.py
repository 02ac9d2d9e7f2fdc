"""The command publish: a dataset to the Hugging Face hub, after all has been looked at that the hub would."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgsd_bench.errors import UserError
from mgsd_bench.plain import say, say_error

if TYPE_CHECKING:
    from mgsd_bench.suites.dataset_check import Checked

app = typer.Typer()


@app.command("publish")
def publish_command(
    folder: Annotated[Path, typer.Argument(help="A folder that `generate --format parquet` wrote.")],
    repo: Annotated[
        str | None, typer.Option("--repo", help="Dataset repository; made if it is not there.", metavar="OWNER/NAME")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Let everybody see a repository that is made; else it is private.")
    ] = False,
    message: Annotated[str, typer.Option("--message", help="Message of the commit.")] = "Upload with mgsd-bench",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look at everything, and send nothing.")] = False,
) -> None:
    """Send a dataset to the Hugging Face hub, with the token that huggingface_hub has."""
    from mgsd_bench.suites.dataset_check import check_dataset

    if repo is None and not dry_run:
        raise UserError("publish: name where to: --repo OWNER/NAME, or look at it alone: --dry-run")
    if not message.strip():
        raise UserError("--message: is empty; say what is published")
    if repo is not None:
        from mgsd_bench.integrations.publishing import check_repo

        check_repo(repo)
    checked = check_dataset(folder)
    _show(checked)
    for fault in checked.faults:
        say_error(fault)
    if checked.faults:
        count = f"{len(checked.faults)} faults" if len(checked.faults) > 1 else "a fault"
        raise UserError(f"{folder}: {count}, see above; nothing was sent")
    size = sum(checked.files.values()) / 2**20
    total = f"{len(checked.files)} files of {size:.1f} MiB"
    if dry_run:
        say(f"would be sent{f' to {repo}' if repo else ''}: {total}")
        return
    from mgsd_bench.integrations.publishing import publish

    url = publish(folder, checked.files, str(repo), public=public, message=message)
    say(f"{total} in {repo}: {url}")


def _show(checked: Checked) -> None:
    """Print what would be sent, and what there is to know of it."""
    from rich.table import Table

    from mgsd_bench.report.leakage import leak_notes, leak_table
    from mgsd_bench.terminal import Terminal

    console = Terminal()
    about = checked.about
    rows = {each.path: f"{each.rows:,}" for each in about.files}
    table = Table("file", "rows", "bytes", pad_edge=False)
    for name, size in checked.files.items():
        table.add_row(name, rows.get(name, ""), f"{size:,}")
    console.print(table)
    say(f"suite {about.suite}, prompts {about.prompts}, conditions {', '.join(about.conditions)}")
    say(f"licence {checked.licence or 'none'}")
    for split, of_split in about.splits.items():
        say(f"{split}: {of_split.episodes:,} episodes, digest {of_split.digest}")
    for name in checked.left_out:
        say(f"not sent: {name}")
    if checked.leaks:
        title = "test episodes among those to train on" if checked.trained else "test episodes in the train split"
        console.print(leak_table(checked.leaks, title))
        for line in leak_notes(checked.leaks):
            console.print(line, highlight=False, soft_wrap=True)
