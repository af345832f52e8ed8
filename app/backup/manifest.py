"""The manifest of a backup: what the file says about itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from app.backup.errors import BackupError
from app.store import newest_revision

NAME = "manifest.json"
# A file with another number has other members, and only another version of the program reads it.
FORMAT = 1
MAX_BYTES = 1024**2

Kind = Literal["int", "float", "bool", "text", "bytes", "time", "date", "json"]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Part(_Model):
    """A member of the file: its lines are ``count``, and ``sha256`` is that of its bytes."""

    count: int = Field(ge=0)
    sha256: Sha256


class TablePart(Part):
    """The rows of a table. A line has the values of the columns in this order."""

    columns: list[tuple[Word, Kind]]


class Manifest(_Model):
    """What a backup says about itself.

    :param created_at: when the snapshot was taken. What came later is not in the file.
    :param version: of the program that made it.
    :param revision: of the schema.
    :param last_ids: by table, the last id that was given to a row, if the database remembers it.
    """

    format: Literal[1] = 1
    created_at: AwareDatetime
    version: str = Field(pattern=r"^[0-9A-Za-z.+_\-]{1,100}$")
    revision: Annotated[str, Field(pattern=r"^[0-9]{4}$")]
    database: str = Field(max_length=20)
    files: Part
    tables: dict[Word, TablePart]
    last_ids: dict[Word, Annotated[int, Field(ge=0, lt=2**63)]] = {}

    @property
    def rows(self) -> int:
        """The number of rows of all tables."""
        return sum(table.count for table in self.tables.values())


def read_manifest(content: bytes) -> Manifest:
    """Return the manifest of a file.

    :raise BackupError: it is not one, or a newer version of the program made it.
    """
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "the whole"
        if where == "format":
            raise BackupError(f"this version reads format {FORMAT}; run a newer version") from None
        raise BackupError(f"the manifest is damaged: {where[:100]!r}: {first['msg']}") from None
    newest = newest_revision() or ""
    if manifest.revision > newest:
        raise BackupError(
            f"the backup was made by a newer version ({manifest.version}, schema "
            f"{manifest.revision}), this one knows schema {newest}: run that version"
        )
    return manifest
