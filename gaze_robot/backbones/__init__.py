"""Pretrained backbones read the same patches as our own encoder, and a store of their weights.

`backbone` is the network, `loading` reads a model's files, `store` and `download` keep them,
`table` says which there are. Nothing is imported here: the store does without torch.
"""
