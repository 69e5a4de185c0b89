"""Several linear maps of one input as one product, for generation.

A step of generation is a product with few rows: what it costs is to read the weights, and to call.

Letters: d (width of the input), e (width of an output).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def joined(layers: Sequence[nn.Module]) -> Callable[[Tensor], Tensor]:
    """The maps' outputs side by side: [.., d] -> [.., sum of e].

    On a CPU plain layers are moved into one piece of memory, of which their weights are parts from
    then on: nothing is held twice, and what is trained further is seen here. Layers that are more
    than plain ones (LoRA's) are called one by one.
    """
    plain = [layer for layer in layers if type(layer) is nn.Linear]
    biased = [layer for layer in plain if layer.bias is not None]
    on_cpu = all(layer.weight.device.type == "cpu" for layer in plain)
    if len(plain) < len(layers) or not on_cpu or len(biased) not in (0, len(plain)):
        return lambda x: torch.cat([layer(x) for layer in layers], dim=-1)
    weight = end_to_end([layer.weight for layer in plain])
    bias = end_to_end([layer.bias for layer in biased]) if biased else None
    return partial(F.linear, weight=weight, bias=bias)


def end_to_end(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors [e, ..] as one [sum of e, ..] whose parts they are from now on, if they were not.

    Their data moves; the tensors stay the same objects, so that optimizers and modules keep them.
    """
    first = tensors[0]
    size = [sum(len(tensor) for tensor in tensors), *first.shape[1:]]
    # what can be trained stays so, also where generation makes this
    with torch.inference_mode(first.is_inference()), torch.no_grad():
        at = first.data_ptr()
        for tensor in tensors:
            if tensor.data_ptr() != at or not tensor.is_contiguous():
                break
            at += tensor.nbytes
        else:
            # neighbours in memory may be of different storages all the same
            room = first.untyped_storage().nbytes() // first.element_size()
            if first.storage_offset() + torch.Size(size).numel() <= room:
                return first.detach().as_strided(size, first.stride())
        whole = torch.cat([tensor.detach() for tensor in tensors])
        for tensor, part in zip(tensors, whole.split([len(t) for t in tensors]), strict=True):
            tensor.data = part
        return whole
