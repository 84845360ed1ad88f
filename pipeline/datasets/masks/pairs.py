"""Which image goes with which mask: by their names, every file accounted for."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.base.errors import Problem
from pipeline.base.params import Masks
from pipeline.datasets.discovery import File, Survey, bare_name, look
from pipeline.datasets.members import Member

IMAGES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}
LABELS = {".png", ".tif", ".tiff", ".bmp", ".npy"}
LOSSY = {".jpg", ".jpeg"}  # compression invents values
JPEG_CURE = "; masks that are JPEG must be exported again as PNG, since its compression invents values"


@dataclass(frozen=True)
class Pair:
    """An image and what was annotated in it."""

    name: str  # of the image in its folder, without its ending
    image: Member
    mask: Member
    classes: Member | None  # codes of classes beside instance ids, where there are any
    table: Path | None = None  # of classes of instance ids, where there is one
    rows: dict[int, str] = field(default_factory=dict, repr=False)  # number of a nucleus -> its class in the table

    @property
    def files(self) -> list[Path]:
        members = [member.path for member in (self.image, self.mask, self.classes) if member]
        return [*members, *([self.table] if self.table else [])]


def find_pairs(folder: Path, settings: Masks) -> list[Pair]:
    """The pairs that lie in a folder, by name; what was found, used and left out is printed.

    Where images lie in sub-folders that masks do not lie in, or the other way about, the bare name pairs them if no
    other file has it.

    Raises:
        Problem: there is none, a file lacks its other half (unless these are skipped), or two have one name.
    """
    roots = {"images": folder / settings.images, "masks": folder / settings.masks}
    if settings.class_maps is not None:
        roots["class maps"] = folder / settings.class_maps
    surveys = {root: look(root) for root in roots.values()}
    masks = named(surveys[roots["masks"]], LABELS, settings.mask_name, roots["masks"])
    images = named(surveys[roots["images"]], IMAGES, "{}", roots["images"], set(paths_of(masks)), roots.values())
    classes = named(surveys[roots["class maps"]], LABELS, "{}", roots["class maps"]) if "class maps" in roots else None
    masks = like_images(images, masks, "masks")
    names = sorted(images.keys() & masks.keys())
    if classes is not None:
        classes = like_images(images, classes, "class maps")
        check_class_maps(names, classes, roots["class maps"])
    used = [Pair(name, images[name], masks[name], None if classes is None else classes[name]) for name in names]
    unpaired = sorted(images.keys() ^ masks.keys())
    taken = {path for pair in used for path in pair.files}
    for survey in surveys.values():
        mine = [file for file in survey.files if file.path in taken]
        left = [file for file in (*images.values(), *masks.values()) if file.path not in taken]
        lossy = [file for file in survey.files if file.name.suffix.lower() in LOSSY and file.path not in taken]
        survey.tell(mine, {"without the other half": left, "JPEG, which is no mask": lossy})
    if not images or not masks or not (used or unpaired):
        raise Problem(
            f"{roots['images']} holds no image ({', '.join(sorted(IMAGES))}) whose mask is in {roots['masks']}; give"
            f" the folders in which they lie{JPEG_CURE if images and has_jpeg(surveys[roots['masks']]) else ''}."
        )
    if unpaired and (settings.unpaired == "refuse" or not used):
        raise Problem(_without_its_half(unpaired, images, masks, settings))
    return used


def has_jpeg(survey: Survey) -> bool:
    """Whether a folder has JPEGs."""
    return any(file.name.suffix.lower() in LOSSY for file in survey.files)


def named(
    survey: Survey,
    suffixes: set[str],
    rule: str,
    root: Path,
    others: set[Path] = frozenset(),  # type: ignore[assignment]
    roots: Iterable[Path] = (),
) -> dict[str, Member]:
    """Files by what they are called without ending, and without what `rule` puts around the name of an image.

    Those of `others`, and of the `roots` that lie in this one, are passed over.

    Raises:
        Problem: two files have one name.
    """
    inner = [other.resolve() for other in roots if other.resolve() != root.resolve()]
    found: dict[str, Member] = {}
    for file in survey.files:
        if file.name.suffix.lower() not in suffixes or file.path in others:
            continue
        if any(file.path.resolve().is_relative_to(other) for other in inner if other.is_relative_to(root.resolve())):
            continue
        if (name := name_of(file.name, rule)) is None:
            continue
        member = Member(file.path, file.name)
        if (other := found.setdefault(name, member)) is not member:
            raise Problem(f"{other} and {member} have one name, {name}; move one of them away.")
    return found


def like_images(images: Mapping[str, Member], others: Mapping[str, Member], what: str) -> dict[str, Member]:
    """Files under the names of their images: where one of both lies in more folders than the other one, by bare name.

    Only where one path is the end of the other (`a/1` and `1`, not `a/1` and `b/1`), and one image and one file alone
    have the bare name. How many these are is printed.
    """
    called: defaultdict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for place, names in enumerate((images, others)):
        for name in names:
            called[PurePosixPath(name).name][place].append(name)
    renamed = {
        theirs[0]: mine[0]
        for mine, theirs in called.values()
        if len(mine) == len(theirs) == 1 and mine != theirs and is_end(*sorted((mine[0], theirs[0]), key=len))
    }
    if renamed:
        other, image = next(iter(renamed.items()))
        print(
            f"{what}: {len(renamed):,} lie in other folders than their images and are paired by the bare name, such as"
            f" {others[other].name} with {images[image].name}"
        )
    return {renamed.get(name, name): member for name, member in others.items()}


def is_end(short: str, long: str) -> bool:
    """Whether a path ends as another one does, folder by folder."""
    return f"/{long}".endswith(f"/{short}")


def name_of(path: PurePosixPath, rule: str = "{}") -> str | None:
    """What an image and its mask are both called: their path without ending; None where the rule does not fit."""
    bare = bare_name(path.with_suffix("").name)
    before, _, after = rule.partition("{}")
    if not bare.startswith(before) or not bare.endswith(after) or len(bare) <= len(before) + len(after):
        return None
    return (path.parent / bare[len(before) : len(bare) - len(after)]).as_posix()


def rule_of(bases: set[str], masks: Sequence[str]) -> str:
    """The rule that most names of masks follow, `{}` being the longest name of an image in them; `{}` where none does.

    Args:
        bases: names of images.
        masks: names of masks, likewise without folder and ending.
    """
    rules: Counter[str] = Counter()
    for bare in masks:
        spans = {(i, j) for i in range(len(bare)) for j in range(i + 1, len(bare) + 1) if bare[i:j] in bases}
        if longest := max((span for span in spans if span != (0, len(bare))), key=lambda s: s[1] - s[0], default=None):
            rules[f"{bare[: longest[0]]}{{}}{bare[longest[1] :]}"] += 1
    return rules.most_common(1)[0][0] if rules else "{}"


def paths_of(files: Mapping[str, File]) -> list[Path]:
    """Where files lie."""
    return [file.path for file in files.values()]


def check_class_maps(names: Sequence[str], classes: Mapping[str, Member], root: Path) -> None:
    """Refuse images that have no class map."""
    if missing := [name for name in names if name not in classes]:
        more = f", nor of {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise Problem(f"{root} has no class map named {missing[0]}{more}; add it, or leave class_maps out.")


def _without_its_half(
    unpaired: list[str], images: Mapping[str, Member], masks: Mapping[str, Member], settings: Masks
) -> str:
    """What is missing, or which of several images is meant, as a sentence."""
    for name in unpaired:
        mine, others, place = (images, masks, settings.masks) if name in images else (masks, images, settings.images)
        alike = [other for other in others if PurePosixPath(other).name == PurePosixPath(name).name]
        if len(alike) > 1:
            return (
                f"{mine[name]} may belong to {others[alike[0]].name} or to {others[alike[1]].name} of {place}; give a"
                " folder without the wrong ones, or move them away."
            )
    first = unpaired[0]
    more = f" (and {len(unpaired) - 1:,} more are alone)" if len(unpaired) > 1 else ""
    wanted = settings.mask_name.format(PurePosixPath(first).name)
    said = (
        f"{images[first]} has no mask {wanted} in {settings.masks}{more}"
        if first in images
        else f"{masks[first]} is a mask without an image {first} in {settings.images}{more}"
    )
    return f"{said}; add the missing file, or leave such files out with `--skip-unpaired` (unpaired: skip)."
