"""The linear self-attention models, in NumPy; training lives in `model.pretrain` and needs torch."""
