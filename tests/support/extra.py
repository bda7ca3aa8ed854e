"""Tests that need the packages of the extra `train`."""

from __future__ import annotations

import pytest

from studio.errors import UsageError
from studio.tuning.finetune import require_extra


def _missing() -> str:
    try:
        require_extra()
    except UsageError as error:
        return error.message
    return ""


needs_extra = pytest.mark.skipif(bool(_missing()), reason=_missing() or "installed")
