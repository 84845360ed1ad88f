import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pipeline.base.study_blocks import Loss
from pipeline.tiles.store import IGNORE
from pipeline.training.losses import balanced_weights, segmentation_loss

NO_TERM = {"cross_entropy": 0.0, "dice": 0.0, "focal": 0.0, "smooth": 1.0, "dice_background": True}
TERMS = {name: Loss(**{**NO_TERM, name: 1.0}) for name in ("cross_entropy", "dice", "focal")}
EVEN = torch.ones(3)


def loss_of(
    name: str,
    logits: torch.Tensor,
    truth: torch.Tensor,
    class_weights: torch.Tensor = EVEN,
) -> torch.Tensor:
    return segmentation_loss(logits, truth, class_weights, TERMS[name])


def confident(truth: torch.Tensor) -> torch.Tensor:
    """Logits (B, 3, H, W) that say `truth`."""
    return 20 * F.one_hot(truth.long(), 3).permute(0, 3, 1, 2).float()


@pytest.fixture
def truth() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 3, (2, 16, 16)).astype(np.uint8))


@pytest.mark.parametrize("name", TERMS)
def test_right_is_near_zero_and_wrong_is_bad(name: str, truth: torch.Tensor) -> None:
    assert loss_of(name, confident(truth), truth) < 1e-3
    assert loss_of(name, confident((truth + 1) % 3), truth) > 0.9


def test_cross_entropy_is_torchs(truth: torch.Tensor) -> None:
    logits = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    weights = torch.tensor([0.5, 1.0, 4.0])
    truth[0, :4] = IGNORE
    expected = F.cross_entropy(logits, truth.long(), weights, ignore_index=IGNORE)
    torch.testing.assert_close(loss_of("cross_entropy", logits, truth, class_weights=weights), expected)


def test_focal_by_hand() -> None:
    logits = torch.tensor([math.log(0.7), math.log(0.2), math.log(0.1)]).reshape(1, 3, 1, 1)
    assert loss_of("focal", logits, torch.tensor([[[1]]])).item() == pytest.approx(-(0.8**2) * math.log(0.2))


def test_dice_by_hand() -> None:
    logits = torch.zeros(1, 3, 1, 3)  # a third for each class
    truth = torch.tensor([[[0, 0, 1]]])
    class_0 = 1 - (2 * 2 / 3 + 1) / (1 + 2 + 1)  # smoothing of one pixel
    class_1 = 1 - (2 * 1 / 3 + 1) / (1 + 1 + 1)
    assert loss_of("dice", logits, truth).item() == pytest.approx((class_0 + class_1) / 2)  # class 2 is absent


@pytest.mark.parametrize("name", TERMS)
def test_ignored_pixels_never_count(name: str, truth: torch.Tensor) -> None:
    truth[:, :8] = IGNORE
    logits = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    other = logits.clone()
    other[:, :, :8] = 50 * torch.randn(2, 3, 8, 16, generator=torch.Generator().manual_seed(2))
    logits.requires_grad_()
    loss = loss_of(name, logits, truth)
    torch.testing.assert_close(loss, loss_of(name, other, truth))
    loss.backward()
    assert logits.grad is not None
    assert bool((logits.grad[:, :, :8] == 0).all())
    assert bool((logits.grad[:, :, 8:] != 0).any())


@pytest.mark.parametrize("name", TERMS)
def test_nothing_but_ignored_pixels_gives_zero_and_no_gradient(name: str) -> None:
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = loss_of(name, logits, torch.full((2, 4, 4), IGNORE, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert bool((logits.grad == 0).all())


def test_a_class_weight_of_zero_silences_a_class(truth: torch.Tensor) -> None:
    wrong = confident((truth + 1) % 3)
    assert loss_of("cross_entropy", wrong, torch.zeros_like(truth), class_weights=torch.tensor([0.0, 1.0, 1.0])) == 0


def test_terms_add_up(truth: torch.Tensor) -> None:
    logits = torch.randn(2, 3, 16, 16)
    mixed = segmentation_loss(logits, truth, EVEN, Loss(**{**NO_TERM, "cross_entropy": 0.5, "dice": 2.0, "focal": 3.0}))
    parts = [loss_of(name, logits, truth) for name in ("cross_entropy", "dice", "focal")]
    torch.testing.assert_close(mixed, 0.5 * parts[0] + 2 * parts[1] + 3 * parts[2])


@pytest.mark.parametrize("name", TERMS)
def test_extreme_half_precision_logits_stay_finite(name: str, truth: torch.Tensor) -> None:
    logits = (6e4 * confident((truth + 1) % 3) / 20).half().requires_grad_()
    loss = loss_of(name, logits, truth)
    loss.backward()
    assert logits.grad is not None
    assert bool(loss.isfinite())
    assert bool(logits.grad.isfinite().all())


def test_balanced_weights_are_inverse_frequencies_of_mean_one() -> None:
    class_map = np.array([[0, 0, 0, 0], [1, 1, IGNORE, IGNORE]], np.uint8)
    assert balanced_weights([class_map], 3) == pytest.approx([2 / 3, 4 / 3, 0])


@given(st.lists(st.integers(0, 3) | st.just(IGNORE), min_size=1, max_size=50))
@settings(deadline=None)
def test_balanced_weights_even_out_the_classes(codes: list[int]) -> None:
    class_map = np.array([codes], np.uint8)
    weights = balanced_weights([class_map], 4)
    present = sorted(set(codes) - {IGNORE})
    shares = [weights[code] * codes.count(code) for code in present]
    assert shares == pytest.approx([shares[0]] * len(present) if present else [])
    assert sum(weights) == pytest.approx(len(present))


def test_two_classes_without_the_background_in_dice_are_bce_plus_dice() -> None:
    """Against the definition on the probability of the nucleus, as the paper of the tnbc study writes it."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 2, 8, 8, generator=generator)
    truth = torch.randint(0, 2, (2, 8, 8), generator=generator)
    truth[0, :3] = IGNORE
    terms = Loss(cross_entropy=1.0, dice=1.0, focal=0.0, smooth=1.0, dice_background=False)
    found = segmentation_loss(logits, truth, torch.ones(2), terms)
    known = truth != IGNORE
    y = truth[known].float()
    z = (logits[:, 1] - logits[:, 0])[known]
    p = z.sigmoid()
    expected = F.binary_cross_entropy_with_logits(z, y) + 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)


def test_a_larger_smooth_draws_dice_to_zero(truth: torch.Tensor) -> None:
    logits = torch.zeros(2, 3, 16, 16)
    values = [
        segmentation_loss(logits, truth, EVEN, Loss(**{**NO_TERM, "dice": 1.0, "smooth": smooth})).item()
        for smooth in (1.0, 1e6)
    ]
    assert values[0] > 0.5 > 0.01 > values[1]
