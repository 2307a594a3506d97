"""What the sets of a user's own images share: the cache, the split, and the messages about them."""

import logging
from abc import abstractmethod
from collections.abc import Sequence

import torch

from vaelab.checks import folder_name, number, whole
from vaelab.data.contracts import ImageSet
from vaelab.data.datamodule import ImageDataModule, Option
from vaelab.data.image_cache import Cache, CachedSource, Contents, obtain
from vaelab.errors import InputError

log = logging.getLogger(__name__)

VAL_SHARE = 0.1  # of the training images, where no number is given
LISTED = 10  # names in a line


class CachedImages(ImageDataModule):
    """A user's own images, which are converted once and then mapped into memory from a cache.

    **Arguments**
        name: what results.json calls the set.
        val: how many of the training images are for validation; None for the images that the set itself has for
            that, or else a tenth.
        test_share: the share of the images that are for the test, where the set itself does not say which.
        split_seed: which images these are.
        cache: the folder of the cache; None for the folder of the images, or else the user's own folder of caches.
        options: those of ``ImageDataModule``.
    """

    def __init__(
        self,
        name: str,
        /,
        val: int | None = None,
        test_share: float = 0.1,
        split_seed: int = 0,
        cache: str | None = None,
        **options: Option,
    ) -> None:
        super().__init__(name, val=0 if val is None else val, **options)
        self.named_val = val
        self.test_share = number("data.test_share", test_share, above=True)
        if self.test_share >= 1:
            raise InputError(f"data.test_share is a share of the images, below 1, got {test_share}")
        self.split_seed = whole("data.split_seed", split_seed, 0)
        self.cache = folder_name("data.cache", cache)
        self.contents = Contents({}, [])
        self._cache: Cache | None = None

    @abstractmethod
    def source(self) -> CachedSource:
        """The images that the cache is made of."""

    def fetch(self) -> None:
        self._cache = obtain(self.source(), self.cache)

    def read(self) -> ImageSet:
        cache = self._cache or obtain(self.source(), self.cache)
        self.contents = cache.contents
        self.check_contents()
        self._log_findings(cache)
        train, val, test = (self.contents.counts[part] for part in ("train", "val", "test"))
        self.val = self._validation(train, val)
        end = train + val
        images, labels = cache.images.tensor, torch.tensor(self.contents.labels, dtype=torch.int64)
        factors = torch.tensor(self.contents.factors, dtype=torch.int64) if self.contents.factors else None
        self._check_parts(end, test)
        return ImageSet(
            self.name,
            images[:end], labels[:end], images[end:], labels[end:],
            None if factors is None else factors[:end], None if factors is None else factors[end:],
            cache.images, cache.images,
        )  # fmt: skip

    def check_contents(self) -> None:
        """Raise an InputError, or log a line, where ``contents`` are not as the options ask; by default nothing."""

    def _check_parts(self, train: int, test: int) -> None:
        for part, count in (("training", train), ("test", test)):
            if not count:
                raise InputError(f"{self.name} has no {part} image that can be read")

    def _validation(self, train: int, val: int) -> int:
        if not val:
            return round(VAL_SHARE * train) if self.named_val is None else self.named_val
        if self.named_val is not None:
            raise InputError(
                f"data.val={self.named_val}: {self.name} has {val} validation images of its own; take data.val=null"
            )
        return val

    def describe(self) -> dict[str, str | int | list[int]]:
        """The entry ``data`` of results.json, with ``content``, which identifies the images."""
        return {**super().describe(), "content": self.contents.digest}

    def _log_findings(self, cache: Cache) -> None:
        """Log what was found, and what a user should know about it."""
        contents, channels = cache.contents, cache.images.array.shape[1]
        classes = f"{len(contents.classes)} classes: {listed(contents.classes)}" if contents.classes else "no classes"
        log.info(f"{self.name}: {len(contents.labels):,} images, {classes}; decoded in {cache.path}")
        for note in contents.notes:
            log.warning(f"{self.name}: {note}")
        if contents.duplicates:
            log.warning(
                f"WARNING: {contents.duplicates:,} of the {contents.counts['test']:,} test images of {self.name} are "
                "among its training or validation images, too: a model that memorises images gets too good test metrics"
            )
        if contents.is_grey and channels > 1:
            log.info(f"all images of {self.name} are grey: data.channels=1 would take a third of the memory and time")


def listed(names: Sequence[str]) -> str:
    """The first ``LISTED`` of ``names``, and how many others there are.

    >>> listed([str(number) for number in range(12)])
    '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more'
    """
    shown = ", ".join(names[:LISTED]).encode(errors="backslashreplace").decode()
    return f"{shown} and {len(names) - LISTED:,} more" if len(names) > LISTED else shown
