"""What a stage needs of the machine that it runs on, known from its name in dvc.yaml."""

import re

GIGABYTE = 1e9
ON_GPU = {"train", "predict"}  # verbs that use a GPU where there is one


def kind(stage: str) -> str:
    """`train-ablation` of `studies/<name>/dvc.yaml:train-ablation@1-42-unet-plain`."""
    return re.sub(r"^.*:|@.*$", "", stage)


def uses_gpu(stage: str) -> bool:
    """Whether a stage uses a GPU where there is one."""
    return kind(stage).partition("-")[0] in ON_GPU


def needs(stage: str, threads: int) -> dict[str, float]:
    """Cores, GPUs and bytes of memory that a stage should have; its threads are the same whatever it does."""
    heavy = uses_gpu(stage)
    return {"cores": float(threads), "GPU": float(heavy), "memory": (2 if heavy else 1) * GIGABYTE}
