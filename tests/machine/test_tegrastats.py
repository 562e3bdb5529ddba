"""Lines that people recorded on their boards and published, each with what it says read off by hand."""

import pytest

from edgekd.errors import EdgekdError
from edgekd.machine.tegrastats import Core, Rail, parse_tegrastats

ORIN_NANO = (
    "11-15-2024 08:38:09 RAM 6185/7620MB (lfb 8x2MB) SWAP 851/3810MB (cached 1MB) "
    "CPU [15%@729,11%@729,14%@729,13%@729,11%@729,8%@729] EMC_FREQ 43%@2133 GR3D_FREQ 63%@[621] NVDEC off NVJPG off "
    "NVJPG1 off VIC off OFA off APE 200 cpu@53.968C soc2@52.437C soc0@50.75C gpu@53.343C tj@53.968C soc1@51.656C "
    "VDD_IN 12479mW/12479mW VDD_CPU_GPU_CV 4667mW/4667mW VDD_SOC 2817mW/2817mW"
)
ORIN_NX = (
    "10-01-2026 20:36:35 RAM 2432/15598MB (lfb 4x4MB) SWAP 0/6144MB (cached 0MB) "
    "CPU [55%@1036,9%@1036,24%@1036,64%@1036,off,off,0%@729,0%@729] GR3D_FREQ 0% cv0@56.281C/56.281C "
    "cpu@57.156C/57.156C soc2@56.593C/56.593C soc0@57.781C/57.781C cv1@56.125C/56.125C gpu@55.343C/55.343C "
    "tj@59.687C/59.687C soc1@59.687C/59.687C cv2@56.281C/56.281C VDD_IN 7280mW/7280mW/7280mW"
)
AGX_ORIN = (
    "10-16-2023 10:59:22 RAM 1205/30623MB (lfb 6429x4MB) SWAP 0/15311MB (cached 0MB) "
    "CPU [0%@729,0%@729,1%@729,0%@729,0%@729,0%@730,0%@730,0%@729,0%@729,0%@729,0%@729,0%@729] EMC_FREQ 0%@204 "
    "GR3D_FREQ 0%@114 GR3D2_FREQ 0%@114 NVJPG1 729 VIC_FREQ 729 APE 233 CV0@-256C CPU@43.5C Tdiode@32.5C SOC2@40.062C "
    "SOC0@40.5C CV1@-256C GPU@38.156C SOC1@39.125C CV2@-256C VDD_GPU_SOC 4788mW/4788mW VDD_CPU_CV 798mW/798mW "
    "VIN_SYS_5V0 3842mW/3842mW NC 0mW/0mW VDDQ_VDD2_1V8AO 707mW/707mW NC 0mW/0mW"
)
AGX_ORIN_36 = (
    "RAM 29114/30697MB (lfb 3x4MB)    SWAP 4915/15348MB (cached 1MB) CPU [3%@729,4%@729,0%@729,1%@729,0%@2201,"
    "100%@2201,1%@2201,0%@2201,100%@2201,0%@2201,0%@2201,0%@2201] EMC_FREQ 1%@2133 GR3D_FREQ 0%@[305,305] "
    "NVENC      off  NVDEC    off NVJPG off NVJPG1    off         VIC        off          OFA           off          "
    "NVDLA0    off       NVDLA1     off          PVA0_FREQ off         APE           174        cpu@53.062C "
    "soc2@48.25C soc0@48.843C  gpu@47.812C tj@53.062C soc1@48.968C    VDD_GPU_SOC 3205mW/3205mW "
    "VDD_CPU_CV 4405mW/4405mW VIN_SYS_5V0 4767mW/4767mW"
)
AGX_ORIN_NEGATIVE = (
    "03-17-2024 18:54:10 RAM 10239/62841MB (lfb 442x4MB) SWAP 1/31421MB (cached 0MB) CPU [0%@1728,0%@1728,0%@1728,"
    "0%@1728,0%@1420,0%@1420,0%@1420,0%@1420,off,off,off,off] GR3D_FREQ 0% cpu@37.5C tboard@27C soc2@34.562C "
    "tdiode@27.5C soc0@34.531C tj@37.5C soc1@33.656C VDD_GPU_SOC 1592mW/1592mW VDD_CPU_CV -398mW/-398mW "
    "VIN_SYS_5V0 2624mW/2624mW VDDQ_VDD2_1V8AO 403mW/403mW"
)
THOR_72 = (
    "07-02-2026 13:45:44 RAM 36529/125749MB (lfb 12x4MB) SWAP 11/4096MB (cached 9MB) CPU [2%@972,1%@972,0%@972,0%@972,"
    "0%@972,0%@972,0%@972,0%@972,0%@972,0%@972,0%@972,0%@972,0%@972,2%@972] cpu@60.406C tj@63.281C soc012@58.468C "
    "gpu@62.906C soc345@63.281C VDD_GPU 37528mW/37528mW/37528mW VDD_CPU_SOC_MSS 18961mW/18961mW/18961mW "
    "VIN_SYS_5V0 18331mW/18331mW/18331mW VIN 87426mW/43713mW/87426mW"
)
THOR_WITHOUT_INPUT = (
    "05-17-2026 10:00:32 RAM 4208/125773MB (lfb 31x4MB) SWAP 0/2048MB (cached 0MB) CPU [1%@972,0%@972,0%@972,0%@972,"
    "1%@972,0%@972,1%@972,1%@972,0%@972,0%@972,3%@972,0%@972,0%@972,1%@972] EMC_FREQ 0%@665 GR3D_FREQ @[0,0,0] "
    "NVENC0_FREQ @0 NVENC1_FREQ @0 NVDEC0_FREQ @0 NVDEC1_FREQ @0 NVJPG0_FREQ @0 VIC off OFA_FREQ @0 PVA0_FREQ off "
    "APE 300 cpu@34.468C tj@34.5C soc012@33.781C soc345@34.5C VDD_GPU 0mW/0mW VDD_CPU_SOC_MSS 4165mW/4165mW "
    "VIN_SYS_5V0 4126mW/4126mW"
)
THOR_WITHOUT_SWAP = (
    "01-20-2026 22:46:22 RAM 17842/125772MB (lfb 79x4MB) CPU [0%@972,0%@972,0%@1566,0%@1566,0%@972,0%@972,0%@972,"
    "0%@972,0%@972,0%@972,1%@972,0%@972,0%@972,0%@972] cpu@30.468C tj@31.218C soc012@30.218C soc345@31.218C "
    "VDD_GPU 0mW/0mW VDD_CPU_SOC_MSS 5535mW/5535mW VIN_SYS_5V0 5040mW/5040mW VIN 16802mW/16802mW"
)


def test_an_orin_nano_takes_what_its_input_rail_says():
    stats = parse_tegrastats(ORIN_NANO)
    assert (stats.ram_used, stats.ram_total, stats.swap_used, stats.swap_total) == (6185, 7620, 851, 3810)
    assert stats.cores == tuple(Core(load, 729) for load in (15, 11, 14, 13, 11, 8))
    assert (stats.gpu_percent, stats.gpu_mhz) == (63, (621,))
    assert stats.celsius == {
        "cpu": 53.968,
        "soc2": 52.437,
        "soc0": 50.75,
        "gpu": 53.343,
        "tj": 53.968,
        "soc1": 51.656,
    }
    assert stats.rails == {
        "VDD_IN": Rail(12479, 12479),
        "VDD_CPU_GPU_CV": Rail(4667, 4667),
        "VDD_SOC": Rail(2817, 2817),
    }
    assert (stats.total_milliwatts, stats.highest_celsius) == (12479, 53.968)


def test_an_orin_nx_has_cores_that_are_off_and_temperatures_with_their_peaks():
    stats = parse_tegrastats(ORIN_NX)
    assert stats.cores[3:7] == (Core(64, 1036), None, None, Core(0, 729))
    assert (stats.gpu_percent, stats.gpu_mhz) == (0, ())
    assert stats.celsius["soc1"] == 59.687
    assert len(stats.celsius) == 9
    assert (stats.total_milliwatts, stats.highest_celsius) == (7280, 59.687)


def test_an_agx_orin_takes_the_sum_of_its_three_rails_and_its_memory_rail_is_in_one_of_them():
    stats = parse_tegrastats(AGX_ORIN)
    assert (stats.gpu_percent, stats.gpu_mhz) == (0, (114,))
    assert set(stats.celsius) == {"CPU", "Tdiode", "SOC2", "SOC0", "GPU", "SOC1"}  # The CV sensors are off.
    assert stats.rails["VDDQ_VDD2_1V8AO"] == Rail(707, 707)
    assert stats.total_milliwatts == 4788 + 798 + 3842
    assert stats.highest_celsius == 43.5


def test_a_line_of_jetpack_6_with_wide_gaps_reads_the_same():
    stats = parse_tegrastats(AGX_ORIN_36)
    assert stats.cores[4:6] == (Core(0, 2201), Core(100, 2201))
    assert stats.gpu_mhz == (305, 305)
    assert stats.total_milliwatts == 3205 + 4405 + 4767


def test_a_rail_whose_sensor_reads_below_nothing_keeps_its_sign():
    stats = parse_tegrastats(AGX_ORIN_NEGATIVE)
    assert stats.rails["VDD_CPU_CV"] == Rail(-398, -398)
    assert stats.total_milliwatts == 1592 - 398 + 2624
    assert stats.cores[8:] == (None,) * 4


def test_a_thor_takes_what_its_input_says_now_and_prints_no_load_of_its_gpu():
    stats = parse_tegrastats(THOR_72)
    assert stats.rails["VIN"] == Rail(87426, 43713)
    assert stats.total_milliwatts == 87426
    assert (stats.gpu_percent, stats.gpu_mhz) == (None, ())
    assert stats.highest_celsius == 63.281
    assert len(stats.cores) == 14


def test_a_thor_without_its_input_rail_takes_the_sum_of_its_module():
    stats = parse_tegrastats(THOR_WITHOUT_INPUT)
    assert (stats.gpu_percent, stats.gpu_mhz) == (None, (0, 0, 0))
    assert stats.rails["VDD_GPU"] == Rail(0, 0)
    assert stats.total_milliwatts == 0 + 4165 + 4126


def test_what_a_line_lacks_is_none():
    stats = parse_tegrastats(THOR_WITHOUT_SWAP)
    assert (stats.swap_used, stats.swap_total) == (None, None)
    assert stats.total_milliwatts == 16802
    bare = parse_tegrastats("RAM 1/2MB (lfb 1x4MB)")
    assert (bare.cores, bare.gpu_percent, bare.celsius, bare.rails) == ((), None, {}, {})
    assert bare.total_milliwatts is None
    assert bare.highest_celsius is None


def test_a_module_with_a_rail_missing_has_no_total():
    assert parse_tegrastats(AGX_ORIN_36.replace("VDD_CPU_CV 4405mW/4405mW ", "")).total_milliwatts is None


def test_one_clock_for_all_cores_counts_for_each():
    assert parse_tegrastats("RAM 1/2MB (lfb 1x4MB) CPU [0%,5%,off]@2601").cores == (Core(0, 2601), Core(5, 2601), None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "not a line of tegrastats"),
        ("Segmentation fault (core dumped)", "not a line of tegrastats"),
        (ORIN_NANO[:23], "a RAM field that cannot be parsed"),
        (ORIN_NANO[:90], "a CPU field that cannot be parsed"),
        (ORIN_NANO[: ORIN_NANO.index("VDD_IN") + 9], "a VDD_IN field that cannot be parsed"),
        (ORIN_NANO.replace("SWAP 851/3810MB", "SWAP 851"), "a SWAP field that cannot be parsed"),
        (ORIN_NANO.replace("63%@[621]", "63%@[6"), "a GR3D_FREQ field that cannot be parsed"),
        (ORIN_NANO.replace("14%@729", "14%@7x9"), "a CPU field that cannot be parsed"),
        (
            "RAM 2673/7765MB (lfb 118x4MB) VDD_IN 3902/3611",
            "a VDD_IN field that cannot be parsed",
        ),  # JetPack 4 prints no unit.
    ],
)
def test_a_damaged_or_foreign_line_is_one_clear_error(line, said):
    with pytest.raises(EdgekdError, match=said) as raised:
        parse_tegrastats(line)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 160
