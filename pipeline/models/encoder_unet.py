"""U-Nets with an encoder of segmentation-models-pytorch or timm, cut to the layers that they use."""

import warnings

import segmentation_models_pytorch as smp
import torch
from torch import nn


def encoder_unet(encoder: str, classes: int, decoder_channels: list[int], head: int) -> nn.Module:
    """The library's U-Net with random weights and a head of `head` x `head` px, which in the library has 3 x 3.

    The encoder is cut off below the resolution that the deepest decoder block starts from: four blocks start from
    1/16 of the image's size.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the library's `timm-` names still work
        model: nn.Module = smp.Unet(
            encoder, len(decoder_channels), encoder_weights=None, decoder_channels=decoder_channels, classes=classes
        )
    last = nn.Conv2d(decoder_channels[-1], classes, head, padding=head // 2)
    nn.init.xavier_uniform_(last.weight)
    nn.init.zeros_(last.get_parameter("bias"))
    model.segmentation_head = last
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            # EfficientNet comes with 0.01: after a few hundred steps it would still predict with its first statistics.
            module.momentum = 0.1
    _cut_unused(model)
    return model


class _Cut(nn.Module):
    """Stands where a layer was; gives back the first of its arguments."""

    def forward(self, features: torch.Tensor, *_: object) -> torch.Tensor:
        return features


def _cut_unused(model: nn.Module) -> None:
    """Replace the layers that the logits do not depend on, such as an encoder's deepest stage.

    They would count as parameters, be saved, and hold up training on several GPUs, which waits for every gradient.
    """
    parameters = dict(model.named_parameters())
    model.eval()  # leaves the running statistics of batch normalisation as they are
    logits = model(torch.zeros(1, 3, 64, 64))
    gradients = torch.autograd.grad(logits.sum(), list(parameters.values()), allow_unused=True)
    model.train()
    used = {name for name, gradient in zip(parameters, gradients, strict=True) if gradient is not None}
    for path, module in list(model.named_modules()):
        names = [f"{path}.{name}" for name, _ in module.named_parameters()]
        if path and names and used.isdisjoint(names):
            parent, _, child = path.rpartition(".")
            setattr(model.get_submodule(parent), child, _Cut())
