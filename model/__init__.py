"""The linear self-attention models, in NumPy; `model.pretrain` trains them and needs torch."""
