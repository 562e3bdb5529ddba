"""anomalib's own figures of maps and masks, as one line of JSON.

anomalib_metrics.py FILE.npz, with `maps` float32 [N, H, W] and `masks` bool [N, H, W]
"""

import json
import sys

import numpy as np
import torch
import torchvision_operators  # noqa: F401  Before anomalib.
from anomalib.metrics.aupro import _AUPRO
from anomalib.metrics.auroc import _AUROC

with np.load(sys.argv[1]) as file:
    maps, masks = torch.from_numpy(file["maps"]), torch.from_numpy(file["masks"]).int()
figures = {}
for name, metric in (("pixel_auroc", _AUROC()), ("pro", _AUPRO(fpr_limit=0.3))):
    metric.update(maps, masks)
    figures[name] = float(metric.compute())
print(json.dumps(figures))
