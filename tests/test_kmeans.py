"""K-means assignment against scikit-learn's, and the matrix product that it runs on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from slmkit.codecs import kmeans
from slmkit.codecs.kmeans import assign
from slmkit.codecs.linear import FrozenLinear


def exact(features: torch.Tensor, centroids: torch.Tensor) -> torch.Tensor:
    """By differences in float64: slow, and without any cancelling."""
    apart = features.double()[:, None] - centroids.double()[None]
    return apart.square().sum(dim=-1).argmin(dim=-1)


def test_assignment_is_scikit_learns() -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(3000, 24)).astype(np.float32)
    model = KMeans(40, n_init=1, max_iter=5, random_state=0).fit(features)
    centroids = torch.from_numpy(model.cluster_centers_)
    assert (
        assign(torch.from_numpy(features), centroids).tolist() == model.predict(features).tolist()
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    width=st.integers(1, 40),
    clusters=st.integers(1, 30),
    offset=st.sampled_from([0.0, 1.0, 1e3]),
    tight=st.sampled_from([1.0, 1e-3, 1e-6]),
)
def test_assignment_is_that_of_exact_distances(
    seed: int, width: int, clusters: int, offset: float, tight: float
) -> None:
    """Also where float32 by itself is at a loss: all centroids close by, and far from zero."""
    torch.manual_seed(seed)
    centroids = offset + tight * torch.randn(clusters, width)
    features = torch.cat([offset + tight * torch.randn(50, width), centroids])
    found, wanted = assign(features, centroids), exact(features, centroids)
    apart = (features.double() - centroids.double()[found]).square().sum(dim=-1)
    least = (features.double() - centroids.double()[wanted]).square().sum(dim=-1)
    # float64 rounds as well: x² - 2xc + c² cancels
    slack = 1e-12 * (features.double().square().sum(dim=-1) + 1e-30)
    assert bool((apart <= least + slack).all())


def test_the_first_of_equal_centroids_wins_and_shapes_are_kept() -> None:
    torch.manual_seed(0)
    centroids = torch.randn(5, 8)
    twice = torch.cat([centroids, centroids])
    features = torch.randn(2, 3, 8)
    found = assign(features, twice)
    assert found.shape == (2, 3)
    assert int(found.max()) < 5
    assert assign(features[:0], centroids).shape == (0, 3)


@pytest.mark.parametrize("count", [1, 2, 1023, 1024, 1025, 2500])
def test_a_frame_is_assigned_alike_among_any_number(count: int) -> None:
    torch.manual_seed(0)
    centroids, features = torch.randn(50, 32), torch.randn(2500, 32)
    whole = assign(features, centroids)
    assert torch.equal(assign(features[:count], centroids), whole[:count])


def test_float64_is_asked_where_float32_could_err(monkeypatch: pytest.MonkeyPatch) -> None:
    """A centroid's twin, off by less than float32 can tell: only the exact path finds it."""
    torch.manual_seed(0)
    centroids = torch.randn(6, 16) * 100
    twins = torch.cat([centroids + 1e-5 * torch.randn(6, 16), centroids])
    wanted = exact(centroids, twins)
    assert assign(centroids, twins).tolist() == wanted.tolist()
    monkeypatch.setattr(kmeans, "_rounding", lambda x, c: x.new_zeros(len(x)))
    assert assign(centroids, twins).tolist() != wanted.tolist()


@pytest.mark.parametrize("bias", [True, False])
def test_the_frozen_map_is_the_layers_side_by_side(bias: bool) -> None:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(24, width, bias=bias) for width in (8, 16)]
    frozen, x = FrozenLinear.of(*layers), torch.randn(70, 24)
    with torch.inference_mode():
        wanted = torch.cat([layer(x) for layer in layers], dim=-1)
        torch.testing.assert_close(frozen(x), wanted)
        for count in (1, 2, 3, 31):
            assert torch.equal(frozen(x[:count]), frozen(x)[:count])
        torch.testing.assert_close(frozen.double()(x.double()).float(), wanted)
        torch.testing.assert_close(frozen.float()(x), wanted)
    assert not list(frozen.parameters())
    assert not frozen.state_dict()
