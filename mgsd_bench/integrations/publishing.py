"""Sending a dataset to the Hugging Face hub, through ``huggingface_hub``; in one commit, so whole or not at all."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgsd_bench.backends.chat_secrets import Secrets, proxy_passwords, url_passwords
from mgsd_bench.errors import Exit, UserError, option

if TYPE_CHECKING:
    from types import ModuleType

TIMEOUT = 300.0
"""Seconds without a byte after which a request has failed."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_USER = re.compile(r"//[^/]*@")
_DENIED = {
    400: ("does not take it", "put right what it names"),
    401: ("does not know the token", "log in with `hf auth login`, or set HF_TOKEN"),
    403: ("does not let this token write there", "name a repository of your own, or use a token that may write"),
    404: ("has no such repository that this token may see", "name another"),
    409: ("says that it was changed meanwhile", "run the same command again"),
}
"""What statuses mean that the user can do something about, and what."""


def check_repo(repo: str, called: str = "--repo") -> str:
    """The name of a repository, as ``OWNER/NAME``; ``called`` is the option that gives it.

    Raises:
        UserError: it is no such name.
    """
    owner, _, name = repo.partition("/")
    if not all(_NAME.fullmatch(part) and ".." not in part and "--" not in part for part in (owner, name)):
        raise UserError(f"{called} {repo}: write OWNER/NAME, of letters, digits, dots, dashes and underscores")
    return repo


def publish(folder: Path, files: Iterable[str], repo: str, *, public: bool, message: str) -> str:
    """Send files to a dataset repository, which is made if it is not there; Parquet files of before are removed.

    The token is the one that ``huggingface_hub`` finds: ``HF_TOKEN``, or what ``hf auth login`` has stored.

    Args:
        folder: where the files are.
        files: their names below it, which they keep.
        repo: ``OWNER/NAME``.
        public: whether a repository that is made is seen by everybody; one that is there stays as it is.
        message: of the commit.

    Returns:
        Where the commit is to be seen.

    Raises:
        UserError: ``huggingface_hub`` is not installed, there is no token, or the hub refuses; with the code of engines
            where it fails.
    """
    try:
        import huggingface_hub as hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError as error:
        raise UserError("publish needs huggingface_hub: pip install 'mgsd-bench[datasets]'") from error
    sent = sorted(files)
    with _told_in_one_line(hub, repo):
        token = hub.get_token()
        if not token:
            raise UserError("publish: there is no token; log in with `hf auth login`, or set HF_TOKEN")
        api = hub.HfApi(endpoint=_endpoint(hub), token=token)
        hub.get_session().timeout = TIMEOUT
        api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
        there = api.list_repo_files(repo, repo_type="dataset")
        stale = [name for name in there if name.endswith(".parquet") and name not in sent]
        commit = api.create_commit(
            repo,
            [
                *(hub.CommitOperationAdd(name, folder / name) for name in sent),
                *(hub.CommitOperationDelete(name) for name in stale),
            ],
            commit_message=message,
            repo_type="dataset",
        )
        url = commit.commit_url
        if not isinstance(url, str):
            raise TypeError("no address of the commit")
        return _secrets(hub).hide_text(url)


def _endpoint(hub: ModuleType) -> str:
    return os.environ.get("HF_ENDPOINT") or str(hub.constants.ENDPOINT)


def _secrets(hub: ModuleType) -> Secrets:
    """What is never shown: the token, and passwords in the addresses of the hub and of proxies."""
    return Secrets([hub.get_token(), *url_passwords(_endpoint(hub)), *proxy_passwords()])


@contextmanager
def _told_in_one_line(hub: ModuleType, repo: str) -> Iterator[None]:
    """What the library raises as one line without secrets; what it or the hub would print besides is not shown."""
    logging = hub.utils.logging
    before, shown = logging.get_verbosity(), hub.utils.are_progress_bars_disabled()
    logging.set_verbosity(logging.CRITICAL)
    hub.utils.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UserError:
        raise
    except Exception as error:  # the library, its HTTP client and a reply of any form raise what they like
        raise _refusal(hub, repo, error) from None
    finally:
        logging.set_verbosity(before)
        if not shown:
            hub.utils.enable_progress_bars()


def _refusal(hub: ModuleType, repo: str, error: Exception) -> UserError:
    status = _status(error)
    said = _secrets(hub).hide_text(f"{type(error).__name__}: {error}")
    where = f"{option('repo', repo)}: the hub at {_USER.sub('//', _endpoint(hub))}"
    if status in _DENIED:
        problem, remedy = _DENIED[status]
        return UserError(f"{where} {problem} ({said}); {remedy}")
    if isinstance(error, hub.errors.OfflineModeIsEnabled):
        return UserError(f"{where} is not asked while HF_HUB_OFFLINE is set; unset it")
    problem = "cannot be reached, or does not answer as it should" if status is None else f"answers {status}"
    return UserError(f"{where} {problem} ({said}); run the same command again", Exit.ENGINE)


def _status(error: Exception) -> int | None:
    """The HTTP status that an error is about."""
    causes: list[BaseException | None] = [error, error.__cause__]
    for each in causes:
        response: Any = getattr(each, "response", None)
        status = getattr(response, "status_code", None)
        if isinstance(status, int):
            return status
    return None
