"""TensorRT, the standard one and TensorRT for RTX: building engines, refusing unfit ones, running them."""
