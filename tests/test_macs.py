"""Multiply-accumulates counted by hand."""

from edgekd.macs import convolution_macs, product_macs, transposed_convolution_macs


def test_macs_of_convolutions_and_products_by_hand():
    assert convolution_macs([1, 8, 5, 5], [8, 3, 2, 2]) == 8 * 25 * 3 * 4
    assert convolution_macs([1, 8, 5, 5], [8, 1, 3, 3]) == 8 * 25 * 9  # Depthwise.
    assert convolution_macs([1, 8, 5, 5], [8, 1, 1, 3, 3]) == 8 * 25 * 9  # The same, with the groups in front.
    assert transposed_convolution_macs([1, 4, 5, 5], [4, 8, 2, 2]) == 4 * 25 * 8 * 4
    assert product_macs([2, 6, 7], [2, 6, 5]) == 2 * 6 * 7 * 5


def test_a_grouped_transposed_convolution_counts_the_same_with_its_groups_in_front():
    assert transposed_convolution_macs([1, 4, 5, 5], [4, 2, 2, 2]) == 4 * 25 * 2 * 4
    assert transposed_convolution_macs([1, 4, 5, 5], [4, 1, 2, 2, 2]) == 4 * 25 * 2 * 4
