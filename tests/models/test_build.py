import subprocess
import sys

import pytest
import torch

from pipeline.models import build, to_input

CHANNELS = [32, 16, 8, 8]
FAST = ["unet", "unet-bn", "resnet50", "efficientnet-b0", "mobilenet_v2"]
SLOW = [
    pytest.param(name, marks=pytest.mark.slow) for name in ("tu-tf_efficientnetv2_m", "vgg19", "densenet121", "mit_b0")
]


@pytest.mark.parametrize("encoder", [*FAST, *SLOW])
def test_logits_have_the_size_of_the_image_and_every_weight_learns(encoder: str) -> None:
    model = build(encoder, 6, 8, CHANNELS)
    logits = model(torch.rand(2, 3, 64, 96))
    assert logits.shape == (2, 6, 64, 96)
    logits.square().mean().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []


def test_a_seed_fixes_the_first_weights() -> None:
    first, second, other = (
        (torch.manual_seed(seed), build("resnet50", 6, 8, CHANNELS).state_dict())[1] for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_cutting_an_encoder_changes_no_logit() -> None:
    import segmentation_models_pytorch as smp

    whole = smp.Unet("resnet50", 4, None, decoder_channels=CHANNELS, classes=6)
    cut = build("resnet50", 6, 8, CHANNELS)
    whole.segmentation_head = torch.nn.Conv2d(CHANNELS[-1], 6, 1)
    missing = cut.load_state_dict(whole.state_dict(), strict=False)
    assert missing.missing_keys == []
    assert all(key.startswith("encoder.layer4.") for key in missing.unexpected_keys)
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(cut.eval()(images), whole.eval()(images))


def test_the_width_of_the_papers_plain_unet() -> None:
    model = build("unet", 6, 64, [512, 256, 128, 64])
    # Ronneberger's network has 31.0 million weights with the same convolutions.
    assert sum(value.numel() for value in model.parameters()) == pytest.approx(31.0e6, rel=0.01)


def test_the_model_of_bcss_has_the_papers_parameters() -> None:
    model = build("resnet34", 21, 16, [256, 128, 64, 32, 16], head=3)
    assert sum(value.numel() for value in model.parameters()) == 24_439_269
    model.get_submodule("encoder").requires_grad_(False)
    assert sum(value.numel() for value in model.parameters() if value.requires_grad) == 3_154_597


def test_the_plain_unet_needs_no_encoder_library() -> None:
    code = (
        "import sys; from pipeline.models import build; build('unet', 6, 8, [8] * 4)\n"
        "print([name for name in sys.modules if name in ('timm', 'torchvision')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_normalisation() -> None:
    images = torch.tensor([[[[0, 127.5, 255]]]]).to(torch.uint8)
    values = to_input(images, [0.5, 0.25, 0.5], [0.5, 0.5, 0.25])
    assert values.shape == (1, 3, 1, 1)
    assert values.flatten().tolist() == pytest.approx([-1, (127 / 255 - 0.25) / 0.5, 2])
    assert to_input(torch.zeros(2, 8, 8, 3, dtype=torch.uint8), [0] * 3, [1] * 3).is_contiguous(
        memory_format=torch.channels_last
    )


def test_running_statistics_keep_up_with_a_short_training() -> None:
    model = build("efficientnet-b0", 6, 8, CHANNELS)
    assert {module.momentum for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)} == {0.1}
