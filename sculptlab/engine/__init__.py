"""The engine under MMD: kernels and their slopes, read tile by tile, with the gradient in the same pass."""
