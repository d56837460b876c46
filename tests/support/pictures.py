"""Pictures to begin a test with."""

from io import BytesIO

from PIL import Image


def png(width: int, height: int, mode: str = "RGBA") -> bytes:
    return _saved(Image.linear_gradient("L"), width, height, mode, "PNG")


def jpeg(width: int, height: int, mode: str = "RGB") -> bytes:
    return _saved(Image.linear_gradient("L"), width, height, mode, "JPEG")


def _saved(image: Image.Image, width: int, height: int, mode: str, kind: str) -> bytes:
    file = BytesIO()
    image.resize((width, height)).convert(mode).save(file, kind)
    return file.getvalue()
