"""The loop and the job of a training, whatever is trained, with its losses and random augmentation."""
