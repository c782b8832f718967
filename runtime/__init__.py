"""runtime: stream frames through a converted network, recomputing only what changed (part of framegate)."""
