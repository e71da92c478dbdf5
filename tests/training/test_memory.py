"""Peak memory of a run in a process that runs several."""

import numpy as np
import pytest

from seqtext.training.memory import CLEAR_REFS, read_peak_memory, reset_peak_memory

MB = 10**6


@pytest.mark.skipif(not CLEAR_REFS.exists(), reason="only Linux can reset the peak")
def test_the_peak_is_that_since_the_reset():
    large = np.ones(200 * MB, np.uint8)
    reset_peak_memory()
    with_array = read_peak_memory()["host"]
    assert with_array > large.nbytes
    del large
    reset_peak_memory()
    without = read_peak_memory()["host"]
    assert without < with_array - 150 * MB
    assert np.ones(100 * MB, np.uint8).sum() == 100 * MB
    assert read_peak_memory()["host"] > without + 90 * MB
