"""A folder of image files as an image set."""

import re
from collections.abc import Sequence
from pathlib import Path

from vaelab.checks import folder_name
from vaelab.data.datamodule import Option
from vaelab.data.decode import ImageFormat
from vaelab.data.folder_scan import Listing, scan
from vaelab.data.image_cache import VERSION, count_tests
from vaelab.data.image_sources import FileImages, ImageFiles
from vaelab.errors import InputError


class FolderSource(ImageFiles):
    """The image files below a folder.

    **Arguments**
        root: the folder.
        form: the shape of the images, and how they get it.
        test_share, seed: of the split, see `vaelab.data.folder_scan.scan`.
    """

    def __init__(self, root: Path, form: ImageFormat, test_share: float, seed: int) -> None:
        self.scanned = scan(root, test_share, seed)
        content = [VERSION, test_share, seed, *map(vars, self.scanned.files), *self.scanned.parts]
        super().__init__(root, form, len(self.scanned.files), content)
        self.test_share = test_share

    @property
    def listing(self) -> Listing:
        return self.scanned

    def parts(self, kept: Sequence[int]) -> list[str]:
        if not self.scanned.is_split or len(kept) < 2:
            return super().parts(kept)
        tests = count_tests(len(kept), self.test_share)  # of the images that can be read
        return ["train"] * (len(kept) - tests) + ["test"] * tests


class FolderImages(FileImages):
    """The image files in a folder and its subfolders, at one size.

    Folders named ``train``, ``val`` and ``test`` hold the parts; otherwise the images are split at random, by their
    paths. Other subfolders are classes, if every image is in one.

    **Arguments**
        root: the folder.
        options: those of ``FileImages``.
    """

    def __init__(self, root: str | None = None, **options: Option) -> None:
        named = folder_name("data.root", root)
        if named is None:
            raise InputError("data.root is missing: name the folder of the images, such as data.root=photos")
        self.root = Path(named).expanduser()
        super().__init__(re.sub(r"\W+", "_", self.root.resolve().name) or "folder", **options)

    def source(self) -> FolderSource:
        return FolderSource(self.root, self.form, self.test_share, self.split_seed)
