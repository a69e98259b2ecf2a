"""QR codes: as a picture in a page, and as one in a `data:` URI."""

import pytest

from crossauth_backend.core.qr import qr_code


def test_a_code_is_an_element_without_script_or_style() -> None:
    code = qr_code("https://provider.example/device?user_code=ABCD-EFGH")
    assert code is not None
    assert code.svg.startswith("<svg ")
    assert "style=" not in code.svg
    assert "<script" not in code.svg
    assert code.png.startswith("data:image/png;base64,")


@pytest.mark.parametrize("text", ["", "x" * 2001])
def test_what_cannot_be_read_from_a_screen_has_none(text: str) -> None:
    assert qr_code(text) is None


def test_the_longest_text_has_one() -> None:
    assert qr_code("x" * 2000) is not None
