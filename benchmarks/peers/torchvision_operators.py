"""Lets torchvision be imported beside a CPU build of torch: to be imported before anything that imports it.

The compiled operators of its wheel cannot be loaded there, and its import asks for these.
"""

import torch

operators = torch.library.Library("torchvision", "DEF")
for operator in ("nms", "qnms"):
    operators.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
