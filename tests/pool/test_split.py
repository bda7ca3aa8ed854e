"""The division into training and validation."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from studio.pool.exchange.export import instruction_hash, plan_split

SHARES = st.floats(min_value=0.01, max_value=0.99)


@given(st.lists(st.text(alphabet="abcdef", min_size=1), min_size=2, max_size=30, unique=True), SHARES, st.text(max_size=5))
def test_both_sides_have_something(instructions: list[str], share: float, seed: str) -> None:
    split = plan_split(instructions, share, seed)
    assert {split.is_training(instruction) for instruction in instructions} == {True, False}


def test_share_is_met_roughly_and_seeds_differ() -> None:
    instructions = [f"Instruction number {number}" for number in range(5000)]
    splits = [plan_split(instructions, 0.9, seed) for seed in ("a", "b")]
    sides = [[split.is_training(text) for text in instructions] for split in splits]
    for side in sides:
        assert 0.88 < sum(side) / len(side) < 0.92
    assert sides[0] != sides[1]


def test_a_task_keeps_its_side_while_the_pool_grows() -> None:
    instructions = [f"Instruction number {number}" for number in range(200)]
    early, late = plan_split(instructions[:100], 0.8, "s"), plan_split(instructions, 0.8, "s")
    assert all(early.is_training(text) == late.is_training(text) for text in instructions[:100])


def test_white_space_does_not_count() -> None:
    assert instruction_hash("s", "Write  a\npoem. ") == instruction_hash("s", "Write a poem.")
