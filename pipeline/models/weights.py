"""Weights of encoders: from the Hugging Face hub or a file, and the normalisation that they expect; `save` and `load`
of whole models, as safetensors, which cannot carry code as pickles can."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import nn

from pipeline.base.errors import Problem, machine_problem
from pipeline.base.paths import MODELS
from pipeline.base.records import Model
from pipeline.models.encoders import PLAIN

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
DPN = ((124 / 255, 117 / 255, 104 / 255), (1 / (0.0167 * 255),) * 3)
# What the library's own encoders were trained with, where it is not ImageNet's mean and standard deviation.
EXPECTS = {"inception": HALF, "xception": HALF, "timm-tf_efficientnet_lite": HALF, "dpn": DPN}


def initialise(model: nn.Module, encoder: str, weights: str) -> str:
    """Give a model's encoder its first weights; return what was done, for the record: random, imagenet or the path.

    Args:
        model: what `build` returned.
        encoder: its name.
        weights: random, imagenet or the path of a .safetensors or .pth file.

    Raises:
        Problem: the weights cannot be had, or do not fit. Never falls back to random weights.
    """
    if encoder in PLAIN or weights == "random":  # nobody publishes weights of a plain U-Net
        return "random"
    if weights == "imagenet":
        load_encoder(model, _from_hub(encoder), f"the ImageNet weights of {encoder}")
    else:
        load_encoder(model, _read(Path(weights).expanduser()), weights)
    return weights


def normalisation(encoder: str, weights: str) -> tuple[list[float], list[float]]:
    """Mean and standard deviation, one a channel on the scale from 0 to 1, that an encoder's weights expect.

    Random ones take ImageNet's.
    """
    mean: Sequence[float]
    std: Sequence[float]
    mean, std = IMAGENET
    if weights != "random" and encoder.startswith("tu-"):
        import timm

        config = timm.get_pretrained_cfg(encoder.removeprefix("tu-"))
        if config is not None:
            mean, std = config.mean, config.std
    elif weights != "random":
        mean, std = next((value for start, value in EXPECTS.items() if encoder.startswith(start)), IMAGENET)
    return list(mean), list(std)


def load_encoder(model: nn.Module, tensors: Mapping[str, torch.Tensor], name: str) -> None:
    """Copy weights into `model.encoder` by name; deeper layers and classifiers that the model lacks are left out.

    Raises:
        Problem: the encoder has a weight that `tensors` lacks or has in another shape. The model is unchanged.
    """
    own = dict(model.get_submodule("encoder").state_dict())
    given = {_canonical(key): value for key, value in tensors.items()}
    wanted = {key: value for key, value in own.items() if not key.endswith("num_batches_tracked")}
    fitting = {
        key: given[_canonical(key)]
        for key, value in wanted.items()
        if _canonical(key) in given and given[_canonical(key)].shape == value.shape
    }
    missing = [key for key in wanted if key not in fitting]
    if missing:
        raise Problem(
            f"{name} fits only {len(fitting)} of the encoder's {len(wanted)} weights, {missing[0]} is the first that it"
            " lacks; give a checkpoint of this encoder, or random as model.weights."
        )
    model.get_submodule("encoder").load_state_dict({**own, **fitting})


def save(model: nn.Module, path: Path) -> None:
    """Write a model's weights, the same bytes for the same weights."""
    path.write_bytes(to_bytes({key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}))


def load(model: nn.Module, path: Path) -> None:
    """Read what `save` wrote.

    Raises:
        Problem: the file is missing, damaged or of another model.
    """
    check(path)
    try:
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        said = str(error).splitlines()[0]
        raise (
            machine_problem(path, error) or Problem(f"{path} holds no weights of this model ({said}); train again.")
        ) from None


def check(path: Path) -> None:
    """Refuse weights that are not those whose checksum the model.json beside them has, where there is one.

    Raises:
        Problem: they are damaged.
    """
    record = path.with_name("model.json")
    wanted = Model.read(record).sha256 if record.is_file() and path.is_file() else None
    if wanted is not None and checksum(path) != wanted:
        ours = path.absolute().is_relative_to(MODELS.absolute())
        cure = "`lobule doctor` says what to remove, then `dvc repro` trains it again" if ours else "copy them again"
        raise Problem(f"{path} is damaged, as model.json beside it tells; {cure}.")


def checksum(path: Path) -> str:
    """SHA-256 of a file of weights."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _canonical(key: str) -> str:
    """One name for the spellings of a weight: Lobule's `encoder.model.stages_0.`, timm's `stages.0.`, ..."""
    for prefix in ("module.", "encoder.", "model."):
        key = key.removeprefix(prefix)
    return re.sub(r"(?<=[a-z])_(?=\d+\.)", ".", key)


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            check(path)
            return load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise Problem(f"{path} does not exist; give random, imagenet or the path of a checkpoint.") from None
    except Problem:
        raise
    except Exception as error:  # a broken file fails in many ways, none of which a person needs to know
        raise Problem(
            f"{path} is no readable checkpoint ({type(error).__name__}); give a .safetensors file, or a .pth file"
            " that holds tensors and no code."
        ) from None
    for key in ("state_dict", "model"):
        content = content.get(key, content) if isinstance(content, dict) else {}
    return {key: value for key, value in content.items() if isinstance(value, torch.Tensor)}


def _from_hub(encoder: str) -> dict[str, torch.Tensor]:
    """ImageNet weights under the names of the library's encoder."""
    import huggingface_hub
    import segmentation_models_pytorch as smp
    import timm

    plain = encoder.removeprefix("tu-")
    if plain == encoder:
        published = "imagenet" in smp.encoders.encoders[encoder]["pretrained_settings"]
    else:
        published = timm.models.is_model_pretrained(plain)
    if not published:
        raise Problem(
            f"there are no ImageNet weights of {encoder}; set model.weights to random or a checkpoint's path."
        )
    if not _reachable(huggingface_hub.constants.ENDPOINT):
        huggingface_hub.constants.HF_HUB_OFFLINE = True  # use what is cached, without a minute of retries
    try:
        return dict(smp.encoders.get_encoder(encoder, weights="imagenet" if plain == encoder else True).state_dict())
    except Exception as error:  # no network, no such file, a proxy's refusal: the cure is the same
        raise Problem(
            f"the ImageNet weights of {encoder} could not be fetched from the Hugging Face hub"
            f" ({type(error).__name__}); connect to the network, set HF_ENDPOINT to a mirror, or give the path of a"
            " checkpoint as model.weights."
        ) from None


def _reachable(address: str) -> bool:
    """Whether a server answers at all, be it with a refusal."""
    try:
        requests.head(address, timeout=5)
    except requests.RequestException:
        return False
    return True
