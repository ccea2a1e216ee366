"""Pauses between tries."""

from cloacina.model.patience import Patience


def test_pauses_double_up_to_the_longest() -> None:
    patience = Patience(first_s=1, longest_s=5)
    assert [patience.take() for _ in range(5)] == [1, 2, 4, 5, 5]


def test_the_first_pause_after_a_success_is_the_shortest() -> None:
    patience = Patience(first_s=1, longest_s=5)
    patience.take()
    assert patience.next_s == 2
    patience.reset()
    assert patience.take() == 1
