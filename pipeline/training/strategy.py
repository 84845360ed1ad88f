"""How Lightning runs a training of several processes: its DDP without the wrapper, see pipeline.training.peers."""

from typing import Any

import torch
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import distributed

from pipeline.training.processes import Place


class Beside(DDPStrategy):
    """DDP whose gradients the learner adds up, and whose first process writes states without the others."""

    def configure_ddp(self) -> None:
        assert self.model is not None
        for values in self.model.state_dict().values():
            distributed.broadcast(values, src=0)

    def barrier(self, name: str | None = None, **kwargs: Any) -> None:
        if name != "Trainer.save_checkpoint":
            super().barrier(name, **kwargs)


def several(where: Place) -> dict[str, Any]:
    """What Lightning's `Trainer` is told of the processes of a training."""
    return {
        "strategy": Beside(),
        "accelerator": "gpu" if torch.cuda.is_available() else "cpu",
        "devices": where.devices,
        "num_nodes": where.nodes,
        "plugins": [SLURMEnvironment(auto_requeue=False) if where.by_slurm else LightningEnvironment()],
        "use_distributed_sampler": False,
    }
