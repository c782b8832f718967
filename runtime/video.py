"""Frames from video files, cameras and folders of images, and pictures and videos of what was recomputed.

All images are RGB, uint8, (rows, cols, 3). PyAV, OpenCV and Pillow are optional and imported where they are used.
"""

from __future__ import annotations

import contextlib
import importlib
import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ArgumentError, Error

Image = npt.NDArray[np.uint8]
Map = npt.NDArray[np.generic]

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}


class MissingPackageError(Error, ImportError):
    """An optional package is not installed; the message says how to get it."""


def optional(*names: str) -> Any | None:
    """The first of the modules that can be imported, or None."""
    for name in names:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    return None


def required(extra: str, purpose: str, *names: str) -> Any:
    """As ``optional``, but raises MissingPackageError that names the extra to install."""
    module = optional(*names)
    if module is None:
        raise MissingPackageError(f"{purpose} needs {' or '.join(names)}: pip install 'framegate[{extra}]'")
    return module


def frames(source: str | Path | int) -> Iterator[Image]:
    """Frames of a video file, of a camera (an index, also as a string of digits) or of a folder's images by name.

    Raises:
        ArgumentError: nothing is there, or it cannot be decoded.
        MissingPackageError: the decoder is not installed.
    """
    if isinstance(source, int) or str(source).isdigit():
        return _captured(int(str(source)), f"camera {source}")
    path = Path(source)
    if path.is_dir():
        paths = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in IMAGE_SUFFIXES)
        if not paths:
            raise ArgumentError(f"{path}: no images in this folder")
        return (read_image(entry) for entry in paths)
    if not path.exists():
        raise ArgumentError(f"{path}: no such file or folder")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return iter([read_image(path)])
    av = required("video", "reading a video", "av", "cv2")
    return _decoded(av, path) if av.__name__ == "av" else _captured(str(path), str(path))


def _decoded(av: Any, path: Path) -> Iterator[Image]:
    """Frames of a video file by PyAV, on one thread: decoders of two clips may then be interleaved."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ArgumentError(f"{path}: holds no video")
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            for frame in container.decode(stream):
                yield frame.to_ndarray(format="rgb24")
    except av.error.FFmpegError as error:
        raise ArgumentError(f"{path}: cannot be decoded ({error.strerror})") from error


def _captured(source: int | str, name: str) -> Iterator[Image]:
    """Frames of a camera or of a file by OpenCV."""
    cv2 = required("cli", "reading a camera", "cv2")
    capture = cv2.VideoCapture(source)
    try:
        good, image = capture.read()
        if not good:
            raise ArgumentError(f"{name}: cannot be opened")
        while good:
            yield np.ascontiguousarray(image[..., ::-1])
            good, image = capture.read()
    finally:
        capture.release()


def read_image(path: Path) -> Image:
    """An image file.

    Raises:
        ArgumentError: it cannot be decoded.
        MissingPackageError: neither Pillow nor OpenCV is installed.
    """
    module = required("cli", "reading images", "PIL.Image", "cv2")
    if module.__name__ == "PIL.Image":
        try:
            return np.asarray(module.open(path).convert("RGB"))
        except (OSError, ValueError) as error:
            raise ArgumentError(f"{path}: not an image ({error})") from error
    image = module.imread(str(path))
    if image is None:
        raise ArgumentError(f"{path}: not an image")
    return np.ascontiguousarray(image[..., ::-1])


def write_png(path: Path, image: Image) -> None:
    """An image as a PNG file, without any package."""
    rows, cols, _ = image.shape
    lines = np.zeros((rows, cols * 3 + 1), np.uint8)  # each row begins with its filter, 0
    lines[:, 1:] = image.reshape(rows, -1)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", cols, rows, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines.tobytes(), 6)),
        (b"IEND", b""),
    ]
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, content in chunks:
            file.write(struct.pack(">I", len(content)) + kind + content)
            file.write(struct.pack(">I", zlib.crc32(kind + content)))


class Writer:
    """Writes images to a video file, or to a folder as frame_00000.png and so on where the path has no suffix.

    Use it as a context manager. The first image fixes the size.

    Raises:
        MissingPackageError: PyAV is not installed and a video is asked for.
        ArgumentError: the container format is not known.
    """

    def __init__(self, path: str | Path, rate: float = 25.0) -> None:
        self.path = Path(path)
        self.count = 0
        self._rate = Fraction(rate).limit_denominator(1001)
        self._container: Any = None
        self._stream: Any = None
        if not self.path.suffix:
            self.path.mkdir(parents=True, exist_ok=True)
            return
        self._av = required("video", "writing a video", "av")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._container = self._av.open(str(self.path), "w")
        except (ValueError, OSError) as error:
            raise ArgumentError(f"{self.path}: cannot be written ({error})") from error

    def write(self, image: Image) -> None:
        """Appends one image."""
        if self._container is None:
            write_png(self.path / f"frame_{self.count:05}.png", image)
        else:
            rows, cols = image.shape[0] & ~1, image.shape[1] & ~1  # colour is stored at half the size
            if self._stream is None:
                codec = "libx264" if "libx264" in self._av.codecs_available else "mpeg4"
                self._stream = self._container.add_stream(codec, rate=self._rate)
                self._stream.width, self._stream.height, self._stream.pix_fmt = cols, rows, "yuv420p"
            frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:rows, :cols]), format="rgb24")
            self._container.mux(self._stream.encode(frame))
        self.count += 1

    def close(self) -> None:
        """Writes what the encoder still holds and closes the file."""
        if self._container is not None:
            if self._stream is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            self._container = None

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def stretch(image: Map, rows: int, cols: int) -> Map:
    """An image or map at another size, nearest neighbour."""
    row_index = np.arange(rows) * image.shape[0] // rows
    col_index = np.arange(cols) * image.shape[1] // cols
    stretched: Map = image[row_index[:, None], col_index]
    return stretched


def heat(image: Image, amount: Map) -> Image:
    """The image in dark grey, with ``amount`` (rows, cols; 0 to 1) over it from red over yellow to white."""
    grey = image.mean(axis=2, keepdims=True) * 0.4
    level = np.clip(stretch(amount, *image.shape[:2]).astype(np.float32), 0.0, 1.0)[..., None]
    colour = np.clip(3.0 * level - np.array([-1.0, 0.5, 2.0], np.float32), 0.0, 1.0) * 255.0
    strength = np.sqrt(level)
    blended: Image = (grey * (1.0 - strength) + colour * strength).astype(np.uint8)
    return blended


def side_by_side(images: list[Image], captions: list[str]) -> Image:
    """Images of equal height in a row, with a caption below each where Pillow is installed."""
    gap = np.full((images[0].shape[0], 4, 3), 24, np.uint8)
    row = np.concatenate([part for image in images for part in (image, gap)][:-1], axis=1)
    draw_module, image_module = optional("PIL.ImageDraw"), optional("PIL.Image")
    if draw_module is None or image_module is None:
        return row
    strip = image_module.new("RGB", (row.shape[1], 20), (24, 24, 24))
    draw = draw_module.Draw(strip)
    left = 4
    for image, caption in zip(images, captions, strict=True):
        draw.text((left, 4), caption, fill=(230, 230, 230))
        left += image.shape[1] + gap.shape[1]
    return np.concatenate([row, np.asarray(strip)], axis=0)
