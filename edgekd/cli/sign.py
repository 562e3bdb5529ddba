"""`edgekd sign`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.options import OUTPUT
from edgekd.cli.output import answer
from edgekd.errors import EdgekdError

app = typer.Typer(add_completion=False)


@app.command()
def sign(
    artifact: Annotated[
        Path | None,
        typer.Argument(metavar="ARTIFACT", help="The .onnx or .engine file to sign, or a run that was exported."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Private key to sign with: Ed25519, PEM, without a password.")
    ] = None,
    new_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Make a key pair: the private key in this file, the public one in FILE.pub.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
) -> None:
    """Sign an artifact and its manifest with a key that is not on the station.

    Writes ARTIFACT.sig. 'edgekd inspect --require-signature FILE.pub' then refuses every other file and every other
    threshold. Whatever writes the manifest later, such as 'edgekd threshold --write', makes the signature invalid.
    """
    from edgekd.artifact import find_artifact
    from edgekd.signing import new_key as make_key
    from edgekd.signing import sign as sign_artifact

    if new_key is not None:
        if artifact is not None or key is not None:
            raise EdgekdError("--new-key makes a key and signs nothing: leave out the artifact and --key")
        public = make_key(new_key)
        answer.print(
            f"wrote {new_key}, to be kept secret and off the station, and {public}, for --require-signature",
            soft_wrap=True,
        )
        return
    if artifact is None or key is None:
        raise EdgekdError("give the artifact and --key FILE; 'edgekd sign --new-key FILE' makes a key")
    found = find_artifact(artifact)
    file = sign_artifact(found, key)
    inspect = shlex.join(["edgekd", "inspect", "--engine", str(found), "--require-signature", f"{key}.pub"])
    answer.print(f"wrote {file}; inspect with: {inspect} --source DIR", soft_wrap=True)
