"""Pictures in files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ..models.disk import PathLike, write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_picture(figure: Figure, path: PathLike) -> None:
    """Write a picture as PNG, whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130, facecolor="white")
    write_atomically(path, content.getvalue())
