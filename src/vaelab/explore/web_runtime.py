"""onnxruntime-web, which computes the networks in the browser: one version, from npm, once for all pages.

The package is 33 MB. A page needs one module of it and one WebAssembly file of 14 MB, which is stored compressed.
"""

import base64
import gzip
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from vaelab.data.image_cache import user_folder
from vaelab.errors import InputError, RunFailed
from vaelab.files import replacing

VERSION = "1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="  # as npm states it
PACKAGE = f"onnxruntime-web@{VERSION}"
ARCHIVE = f"onnxruntime-web-{VERSION}.tgz"
MODULE = "package/dist/ort.wasm.bundle.min.mjs"
BINARY = "package/dist/ort-wasm-simd-threaded.wasm"
SOURCE_MAP = b"\n//# sourceMappingURL="  # of a file that the page does not have
TIMEOUT_S = 300


def files() -> dict[str, bytes]:
    """The files of a page by their names: the module, and the WebAssembly that the page decompresses.

    **Raises**
        InputError: npm is missing, and the package is not in the cache.
        RunFailed: npm cannot download the package.
    """
    with tarfile.open(archive()) as package:
        module, binary = (_member(package, name) for name in (MODULE, BINARY))
    # .bin, because some servers treat the usual endings of compressed files specially.
    return {"ort.js": module.partition(SOURCE_MAP)[0] + b"\n", "ort.bin": gzip.compress(binary, 6, mtime=0)}


def archive() -> Path:
    """The package in the user's cache, downloaded by npm where it is not there or is damaged."""
    path = user_folder() / ARCHIVE
    if not is_intact(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            _download(part)
            if not is_intact(part):
                raise RunFailed(f"npm gave another {PACKAGE} than the one that was published: its checksum is wrong")
    return path


def is_intact(path: Path) -> bool:
    """Whether ``path`` is the package as it was published."""
    if not path.is_file():
        return False
    return base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode() == SHA512


def _download(target: Path) -> None:
    by_hand = f"or put {ARCHIVE}, which `npm pack {PACKAGE}` writes on a machine with npm, into {target.parent}"
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(f"the page needs {PACKAGE} from npm, which is not here: install Node.js, {by_hand}")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", PACKAGE, "--pack-destination", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=folder)
        except subprocess.TimeoutExpired as error:
            raise RunFailed(f"npm did not download {PACKAGE} in {TIMEOUT_S} s: try again, {by_hand}") from error
        if done.returncode:
            raise RunFailed(f"npm cannot download {PACKAGE} ({_reason(done.stderr)}): try again, {by_hand}")
        shutil.copy(Path(folder) / ARCHIVE, target)


def _reason(stderr: str) -> str:
    """The first line of npm's errors that is more than a code."""
    lines = [line.removeprefix("npm error ").strip() for line in stderr.splitlines() if line.startswith("npm error")]
    return next((line for line in lines if not line.startswith(("code ", "errno "))), "no reason given")


def _member(package: tarfile.TarFile, name: str) -> bytes:
    member = package.extractfile(name)
    assert member is not None  # the package has the checksum of the one that has it
    return member.read()
