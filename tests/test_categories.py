import numpy as np
import pytest

from rakuten import categories


def test_sizes_are_those_of_the_challenge():
    assert categories.NUM_CATEGORIES == 27
    assert sum(categories.SIZES.values()) == 84_916
    assert tuple(categories.SIZES) == categories.CODES == tuple(sorted(categories.CODES))


def test_groups_hold_known_codes_once():
    members = [code for group in categories.GROUPS.values() for code in group]
    assert set(members) <= set(categories.CODES)
    assert len(members) == len(set(members)) == 12


def test_codes_and_labels_are_inverse():
    assert categories.to_labels([10, 2905, 40]).tolist() == [0, 26, 1]
    labels = np.arange(27)
    np.testing.assert_array_equal(categories.to_labels(categories.to_codes(labels)), labels)
    assert categories.to_labels([]).dtype == np.int64


@pytest.mark.parametrize("code", [0, 11, 2904, 99999])
def test_unknown_codes_are_named(code):
    with pytest.raises(ValueError, match=f"unknown prdtypecode {code}: expected one of the 27"):
        categories.to_labels([10, code])


@pytest.mark.parametrize("label", [-1, 27])
def test_labels_out_of_range_are_refused(label):
    with pytest.raises(ValueError, match=r"out of range: expected 0\.\.26"):
        categories.to_codes([3, label])
