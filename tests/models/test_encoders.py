import subprocess
import sys
import warnings

import pytest

from pipeline.base.errors import Problem
from pipeline.models.encoders import ENCODERS, PLAIN, check_encoder

IN_DVC_YAML = ("unet", "resnet50", "efficientnet-b0", "tu-tf_efficientnetv2_m", "mobilenet_v2", "vgg19")


@pytest.mark.parametrize("name", [*IN_DVC_YAML, "densenet121", "unet-bn"])
def test_a_known_encoder_passes(name: str) -> None:
    check_encoder(name)


@pytest.mark.parametrize(
    ("name", "near"), [("vgg91", "vgg19"), ("resnet-50", "resnet50"), ("effnet-b0", "efficientnet-b0")]
)
def test_an_unknown_encoder_is_told_the_nearest(name: str, near: str) -> None:
    with pytest.raises(Problem, match=f"'{name}' is not known; did you mean .*{near}"):
        check_encoder(name)


def test_the_file_that_names_it_is_told() -> None:
    with pytest.raises(Problem, match=r"^studies/mine/params\.yaml: the encoder 'vgg91'"):
        check_encoder("vgg91", "studies/mine/params.yaml")
    with pytest.raises(Problem, match=r"^params\.yaml: the encoder 'vgg91'"):
        check_encoder("vgg91")


def test_a_name_near_to_none_is_sent_to_the_list() -> None:
    with pytest.raises(Problem, match=r"encoders\.txt lists"):
        check_encoder("§§§§§§")


def test_checking_a_name_imports_no_torch() -> None:
    code = "import sys, pipeline.models.encoders; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.slow
def test_the_list_is_what_the_libraries_have() -> None:
    import segmentation_models_pytorch as smp
    import timm

    assert {name for name in ENCODERS - PLAIN if not name.startswith("tu-")} == set(smp.encoders.get_encoder_names())
    ours = {name.removeprefix("tu-") for name in ENCODERS if name.startswith("tu-")}
    assert ours <= set(timm.list_models(pretrained=False))
    assert all(timm.is_model_pretrained(name) for name in ours)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(name for name in ENCODERS if name.startswith("tu-")))
@pytest.mark.parametrize("depth", [3, 4, 5])
def test_every_timm_encoder_builds(name: str, depth: int) -> None:
    import torch

    from pipeline.models import build

    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        model = build(name, 6, 16, [64, 32, 16, 8, 8][:depth]).eval()
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 6, 64, 64)
