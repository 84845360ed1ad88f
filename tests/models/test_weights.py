import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.base.errors import Problem
from pipeline.models import build, weights
from tests.records import MODEL

CHANNELS = [32, 16, 8, 8]
LITE0 = "tu-tf_efficientnet_lite0"


def test_weights_of_a_trained_model_start_another(tmp_path: Path) -> None:
    trained, fresh = build("resnet50", 6, 8, CHANNELS), build("resnet50", 3, 8, [16, 16, 8, 8])
    weights.save(trained, tmp_path / "model.safetensors")
    before = {key: value.clone() for key, value in fresh.state_dict().items()}
    assert weights.initialise(fresh, "resnet50", str(tmp_path / "model.safetensors")) == str(
        tmp_path / "model.safetensors"
    )
    after = fresh.state_dict()
    for key, value in trained.get_submodule("encoder").state_dict().items():
        assert torch.equal(after[f"encoder.{key}"], value)
    assert all(torch.equal(after[key], before[key]) for key in after if not key.startswith("encoder."))


def test_a_pickle_of_tensors_is_read_and_one_of_code_is_not(tmp_path: Path) -> None:
    encoder = build("resnet50", 6, 8, CHANNELS).get_submodule("encoder")
    torch.save(
        {"state_dict": {f"module.{key}": value for key, value in encoder.state_dict().items()}}, tmp_path / "a.pth"
    )
    torch.save(encoder, tmp_path / "b.pth")
    fresh = build("resnet50", 6, 8, CHANNELS)
    weights.initialise(fresh, "resnet50", str(tmp_path / "a.pth"))
    assert torch.equal(
        fresh.get_submodule("encoder").get_parameter("conv1.weight"), encoder.get_parameter("conv1.weight")
    )
    with pytest.raises(Problem, match=r"b\.pth is no readable checkpoint"):
        weights.initialise(fresh, "resnet50", str(tmp_path / "b.pth"))


@pytest.mark.parametrize(
    "change", [lambda t: t.pop("layer2.0.conv1.weight"), lambda t: t.update({"layer2.0.conv1.weight": torch.zeros(2)})]
)
def test_a_checkpoint_that_lacks_a_weight_is_refused(change: object, tmp_path: Path) -> None:
    model = build("resnet50", 6, 8, CHANNELS)
    tensors = dict(model.get_submodule("encoder").state_dict())
    change(tensors)  # type: ignore[operator]
    save_file(tensors, tmp_path / "part.safetensors")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(
        Problem, match=r"fits only \d+ of the encoder's \d+ weights, layer2\.0\.conv1\.weight is the first"
    ):
        weights.initialise(model, "resnet50", str(tmp_path / "part.safetensors"))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["none.safetensors", "broken.safetensors", "broken.pth"])
def test_a_missing_or_broken_file_is_one_sentence(name: str, tmp_path: Path) -> None:
    if name.startswith("broken"):
        (tmp_path / name).write_bytes(b"not a checkpoint")
    with pytest.raises(Problem, match=name):
        weights.initialise(build("resnet50", 6, 8, CHANNELS), "resnet50", str(tmp_path / name))


@pytest.mark.parametrize("encoder", ["resnet50", LITE0])
def test_imagenet_without_a_network_is_one_quick_sentence(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # where nothing listens
    model = build(encoder, 6, 8, CHANNELS)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    started = time.monotonic()
    with pytest.raises(Problem, match=f"ImageNet weights of {encoder} could not be fetched.*HF_ENDPOINT.*path"):
        weights.initialise(model, encoder, "imagenet")
    assert time.monotonic() - started < 10
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_an_encoder_that_nobody_trained_is_refused() -> None:
    with pytest.raises(Problem, match="there are no ImageNet weights of resnext101_32x32d"):
        weights.initialise(torch.nn.Module(), "resnext101_32x32d", "imagenet")


def test_a_plain_unet_starts_at_random_whatever_was_asked() -> None:
    assert weights.initialise(build("unet", 6, 8, CHANNELS), "unet", "imagenet") == "random"


def test_what_weights_expect() -> None:
    assert weights.normalisation("resnet50", "random") == weights.normalisation("resnet50", "imagenet")
    assert weights.normalisation("resnet50", "random")[0] == [0.485, 0.456, 0.406]
    assert weights.normalisation("xception", "a.pth") == ([0.5] * 3, [0.5] * 3)
    assert weights.normalisation(LITE0, "a.safetensors") == ([0.5] * 3, [0.5] * 3)


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    weights.save(build("unet", 6, 8, CHANNELS), tmp_path / "model.safetensors")
    with pytest.raises(Problem, match="holds no weights of this model"):
        weights.load(build("unet", 6, 16, CHANNELS), tmp_path / "model.safetensors")


@pytest.mark.real
def test_real_imagenet_weights_under_timms_names(real_data: Path) -> None:
    path = real_data / "weights" / "tf_efficientnet_lite0.imagenet.safetensors"
    model = build(LITE0, 6, 8, CHANNELS)
    weights.initialise(model, LITE0, str(path))
    stem = model.get_submodule("encoder").get_parameter("model.conv_stem.weight")
    assert torch.equal(stem, load_file(path)["conv_stem.weight"])
    with pytest.raises(Problem, match="fits only"):
        weights.initialise(build("efficientnet-b0", 6, 8, CHANNELS), "efficientnet-b0", str(path))


@pytest.mark.parametrize(
    ("folder", "cure"), [("models/a/weights", "`lobule doctor` says what to remove"), ("brought", "copy them again")]
)
def test_damaged_weights_have_the_cure_of_where_they_lie(
    folder: str, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(folder) / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"these were weights")
    MODEL.model_copy(update={"sha256": "0" * 64}).write(path.with_name("model.json"))
    with pytest.raises(Problem, match=rf"{path} is damaged, as model.json beside it tells; {cure}"):
        weights.check(path)
