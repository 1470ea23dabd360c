import numpy as np

from transforms.dedup.signatures import band_hashes


def hashes(*sets: list[int], seed: int = 42) -> np.ndarray:
    flat = np.array([x for s in sets for x in s], dtype=np.uint64)
    offsets = np.cumsum([0, *map(len, sets)]).astype(np.uint64)
    return band_hashes(flat, offsets, 14, 8, seed)


def test_equal_sets_have_equal_bands_in_any_order() -> None:
    found = hashes([1, 2, 3], [4], [3, 1, 2])
    assert found.shape == (3, 14)
    assert found.dtype == np.int64
    assert (found[0] == found[2]).all()
    assert (found[0] != found[1]).all()


def test_bands_of_one_set_differ_from_each_other() -> None:
    assert len(set(hashes([7])[0].tolist())) == 14


def test_known_value() -> None:
    """Signatures are kept for years: a change of the hash must come with a new METHOD_VERSION."""
    assert hashes([1, 2, 3])[0, :3].tolist() == [
        -398636143191313328,
        -231743032134334770,
        3015846089128619463,
    ]


def test_no_sets() -> None:
    assert hashes().shape == (0, 14)


def test_the_share_of_equal_bands_follows_the_jaccard() -> None:
    """14 x 8 bands: P(found) is 1 - (1 - J^8)^14, 0.92 at 0.8 and 0.003 at 0.3 (pipelines.md 1.2)."""
    rng = np.random.default_rng(1)
    found = {0.8: 0, 0.3: 0}
    for jaccard in found:
        for _ in range(100):
            shared = rng.integers(2**63, size=400).tolist()
            rest = round(400 * (1 - jaccard) / jaccard / 2)
            one, other = rng.integers(2**63, size=rest).tolist(), rng.integers(2**63, size=rest).tolist()
            a, b = hashes(shared + one, shared + other)
            found[jaccard] += bool((a == b).any())
    assert found[0.8] >= 83
    assert found[0.3] <= 3
