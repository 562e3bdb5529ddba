"""The images of a project: taken by its camera, sent, imported from a folder or from the record."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import Field

from edgekd.data.image_files import read_file, require_size
from edgekd.errors import EdgekdError
from edgekd.station.page.roles import User
from edgekd.station.page.routes.camera import SnapRequest, take
from edgekd.station.page.routes.teach import MOST_FILES, Asked, Engineer, ThePage, TheProject, note
from edgekd.station.page.teaching.images import LABELS, MOST_IMAGES, Label, Source, TaughtImage
from edgekd.station.page.teaching.project import Project
from edgekd.station.page.teaching.project_files import TeachingView
from edgekd.station.page.teaching.reviewed import reviewed_images
from edgekd.station.recipes import CameraSettings, Name
from edgekd.verdicts.text import printable

router = APIRouter(prefix="/api/teach")


class Collect(Asked):
    """An image that a camera is asked for."""

    label: Label = "good"
    camera: Name | None = None
    settings: CameraSettings | None = None


@router.post("/{project}/collect", status_code=201)
async def collect(project: TheProject, page: ThePage, user: Engineer, asked: Collect | None = None) -> dict[str, Any]:
    """Takes an image with the station's camera into the project."""
    asked = asked or Collect()
    told = await take(page, project.settings.station, user, SnapRequest(camera=asked.camera, settings=asked.settings))
    name = f"{told['snap']}.png"

    def add() -> dict[str, Any]:
        project.require_bit_depth(told["bit_depth"])
        data = Path(told["path"]).read_bytes()
        image = project.images.add(data, asked.label, "camera", name, user.name, bit_depth=told["bit_depth"])
        return {"image": _image(project, image), "wanted": project.wanted()}

    return await asyncio.to_thread(add)


@router.post("/{project}/uploads", status_code=201)
async def upload(project: TheProject, request: Request, user: Engineer) -> dict[str, Any]:
    """Takes images that somebody sends: the fields `files`, and `label` for all of them."""
    async with request.form(max_files=MOST_FILES, max_fields=2) as form:
        label = _label(form.get("label", "good"))
        files = [each for each in form.getlist("files") if not isinstance(each, str)]
        if not files:
            raise HTTPException(422, "files: send at least one image.")
        added = _Added(project, label, "upload", user)
        for file in files:
            name = file.filename or "image"
            if added.may_be_read(name, file.size or 0):
                await asyncio.to_thread(added.take, name, await file.read())
    return await asyncio.to_thread(added.answer)


class FolderRequest(Asked):
    """A folder below `import` in the station's data."""

    folder: Annotated[str, Field(max_length=255)]
    label: Label = "good"


@router.post("/{project}/folder", status_code=201)
def take_folder(project: TheProject, asked: FolderRequest, page: ThePage, user: Engineer) -> dict[str, Any]:
    """Takes all images of a folder that somebody put below `import`."""
    try:
        paths = page.projects.images_in(asked.folder)
    except KeyError:
        raise HTTPException(404, "There is no such folder below 'import' in the station's data.") from None
    added = _Added(project, asked.label, "folder", user)
    for path in paths[: MOST_IMAGES + 1]:  # The one too many is refused, so that it does not go unnoticed.
        added.take_file(path.name, path)
    return added.answer()


class Reviewed(Asked):
    """What operators found parts to be."""

    label: Literal["good", "bad"]
    since_utc_ms: Annotated[int, Field(ge=0, lt=1 << 53)] = 0


@router.post("/{project}/reviewed", status_code=201)
def take_reviewed(project: TheProject, asked: Reviewed, page: ThePage, user: Engineer) -> dict[str, Any]:
    """Takes the recorded images of parts that operators reviewed: good ones to learn from, bad ones to be found."""
    added = _Added(project, "good" if asked.label == "good" else "defect", "record", user)
    for result_id, path in reviewed_images(page.record, page.data, project, asked.label, asked.since_utc_ms):
        added.take_file(f"result {result_id}", path, result_id)
    return added.answer()


@router.get("/{project}/images")
def images(project: TheProject, user: Engineer) -> dict[str, Any]:
    """All images, the newest first."""
    return {"images": [_image(project, each) for each in reversed(project.images.all())]}


@router.get("/{project}/images/{image_id}/{kind}")
def image_file(
    project: TheProject, image_id: int, kind: Literal["thumbnail", "full"], request: Request, user: Engineer
) -> Response:
    """An image as a JPEG; what it shows never changes."""
    try:
        tag = f'"{project.images.get(image_id).time_utc_ms}-{kind}"'
        headers = {"etag": tag, "cache-control": "private, no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        content = project.images.thumbnail(image_id) if kind == "thumbnail" else project.images.full(image_id)
    except (KeyError, FileNotFoundError):
        raise _no_image(image_id) from None
    return Response(content, media_type="image/jpeg", headers=headers)


class ImageChange(Asked):
    """What an image shows."""

    label: Label


@router.patch("/{project}/images/{image_id}")
def relabel(project: TheProject, image_id: int, asked: ImageChange, user: Engineer) -> dict[str, Any]:
    """Says what an image shows."""
    try:
        return _image(project, project.images.relabel(image_id, asked.label))
    except KeyError:
        raise _no_image(image_id) from None


@router.delete("/{project}/images/{image_id}", status_code=204)
def remove_image(project: TheProject, image_id: int, user: Engineer) -> None:
    """Removes an image."""
    try:
        project.images.remove(image_id)
    except KeyError:
        raise _no_image(image_id) from None


class ViewRequest(Asked):
    """What of an image is looked at, in its pixels."""

    crop: tuple[int, int, int, int] | None = None
    ignore: Annotated[tuple[tuple[tuple[int, int], ...], ...], Field(max_length=100)] = ()
    tiles: tuple[int, int] | None = None


@router.post("/{project}/view")
def set_view(project: TheProject, asked: ViewRequest, page: ThePage, user: Engineer) -> dict[str, Any]:
    """Says what of an image is looked at."""
    before = ViewRequest(**asdict(project.settings.view))
    project.set_view(TeachingView(asked.crop, asked.ignore, asked.tiles))
    note(page, user, project, "set view", asked.model_dump_json(), before.model_dump_json())
    return project.describe()


class _Added:
    """Images that come together, those that were taken and those that were not."""

    def __init__(self, project: Project, label: Label, source: Source, user: User) -> None:
        self._project, self._label, self._source, self._user = project, label, source, user
        self._added: list[TaughtImage] = []
        self._refused: list[dict[str, str]] = []

    def may_be_read(self, name: str, size: int) -> bool:
        """Whether a file is of no more bytes than an image may take; otherwise notes that it is not taken."""
        try:
            require_size(name[-200:], size)
        except EdgekdError as error:
            self._refuse(name, error)
            return False
        return True

    def take(self, name: str, data: bytes, result_id: int | None = None) -> None:
        """Takes an image, or notes why not."""
        depth = self._project.settings.bit_depth  # The record, too, keeps what the camera gave.
        try:
            image = self._project.images.add(data, self._label, self._source, name, self._user.name, result_id, depth)
            self._added.append(image)
        except EdgekdError as error:
            self._refuse(name, error)

    def take_file(self, name: str, path: Path, result_id: int | None = None) -> None:
        """The same, of a file of this machine."""
        try:
            data = read_file(path)
        except EdgekdError as error:
            self._refuse(name, error)
        else:
            self.take(name, data, result_id)

    def _refuse(self, name: str, error: EdgekdError) -> None:
        self._refused.append({"name": printable(name[-200:]), "text": printable(str(error))})

    def answer(self) -> dict[str, Any]:
        """What became of them."""
        return {
            "added": [_image(self._project, each) for each in self._added],
            "refused": self._refused,
            "wanted": self._project.wanted(),
        }


def _image(project: Project, image: TaughtImage) -> dict[str, Any]:
    known = {name: getattr(image, name) for name in ("id", "label", "source", "name", "time_utc_ms", "by", "result_id")}
    hints = [hint._asdict() for hint in project.hints().get(image.id, ())]
    return {**known, "width": image.seen.width, "height": image.seen.height, "hints": hints}


def _label(text: Any) -> Label:
    found = next((label for label in LABELS if label == text), None)
    if found is None:
        raise HTTPException(422, f"label: must be one of {', '.join(LABELS)}")
    return found


def _no_image(image_id: int) -> HTTPException:
    return HTTPException(404, f"There is no image {image_id} any more.")
