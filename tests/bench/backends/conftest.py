"""What the tests of the openai backend have in common."""

from __future__ import annotations

import pytest

from support.chat_server import KEY


@pytest.fixture
def api_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of the servers of these tests, and no address from outside."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
