"""Fine-tuning of a network's weights for gating, with PyTorch: used by ``framegate tune --weights``."""

from .distill import Settings, distill

__all__ = ["Settings", "distill"]
