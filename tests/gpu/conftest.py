import pytest

from edgekd.engines.cuda import open_driver
from edgekd.engines.cuda.bindings import BindingsDriver
from edgekd.engines.cuda.pycuda import PycudaDriver
from edgekd.errors import MachineError


@pytest.fixture(params=[BindingsDriver, PycudaDriver])
def driver(request):
    """Each package's driver of the first GPU."""
    try:
        driver = request.param()
    except (MachineError, ModuleNotFoundError) as error:
        pytest.skip(str(error))
    yield driver
    driver.close()


@pytest.fixture
def gpu():
    """The first GPU."""
    try:
        driver = open_driver()
    except MachineError as error:
        pytest.skip(str(error))
    device = driver.device
    driver.close()
    return device
