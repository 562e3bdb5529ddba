"""What every system must do, on those that are told in files of their own: test_mhkd.py and so on."""

from .detector_tester import DetectorTester


class TestMHKD(DetectorTester):
    system = "mhkd"
    settings = (("teacher", "pdn_small"),)
    illegal_size = 100
    nearest_legal_sizes = (64, 128)


class TestMHKDTaughtByABackbone(DetectorTester):
    system = "mhkd"
    settings = (("teacher", "efficientnet_lite0"), ("semantic_encoder", False), ("self_distillation", False))
    illegal_size = 30
    nearest_legal_sizes = (64,)


class TestPFADSeg(DetectorTester):
    system = "pfadseg"
    learning_rate = 2e-5
    illegal_size = 200
    nearest_legal_sizes = (192, 256)


class TestPFADSegWithoutItsBlocks(DetectorTester):
    system = "pfadseg"
    settings = (("backbone", "efficientnet_lite0"), ("pcar", False), ("aff", False), ("rcm", False))
    illegal_size = 65
    nearest_legal_sizes = (64, 128)


class TestDSKD(DetectorTester):
    system = "dskd"
    settings = (("backbone", "resnet18"),)
    illegal_size = 250
    nearest_legal_sizes = (224, 256)


class TestDSKDOnALightBackbone(DetectorTester):
    system = "dskd"
    settings = (("backbone", "efficientnet_lite0"), ("fusion", "manual"))
    illegal_size = 33
    nearest_legal_sizes = (32, 64)


class TestMTHF(DetectorTester):
    system = "mthf"
    settings = (("groups", ("efficientnet_lite0", "pdn_small")),)
    illegal_size = 100
    nearest_legal_sizes = (96, 128)


class TestMTHFWithoutItsModules(DetectorTester):
    system = "mthf"
    settings = (("groups", ("mobilenet_v2",)), ("attention", False), ("fusion", False), ("two_stage", False))
    illegal_size = 1
    nearest_legal_sizes = (64,)
