"""The switch that turns limits off."""

import pytest

from crossauth_backend.limits.switch import limits_are_off, without_limits


def test_limits_are_off_in_the_block_only_whatever_happens_in_it() -> None:
    assert not limits_are_off()
    with without_limits():
        with without_limits():
            assert limits_are_off()
        assert limits_are_off()
    with pytest.raises(ZeroDivisionError), without_limits():
        raise ZeroDivisionError
    assert not limits_are_off()
