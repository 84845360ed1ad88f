"""The words with which a stage is asked for a variant, as DVC's `${item}` makes them."""


def asked(study: str, run: int, seed: int, variant: str, plan: str) -> list[str]:
    """The command line of `train`, `predict` and `evaluate`, without the module."""
    return [study, "--run", str(run), "--seed", str(seed), "--variant", variant, "--plan", plan]
