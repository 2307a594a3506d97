"""Eigenvalues of the pixels' covariance: all against numpy's, and the leading ones of many pixels against all."""

import numpy as np
import pytest
import torch
from compositions import small_data

from vaelab.models import covariance
from vaelab.models.closed_form import linear_rates
from vaelab.models.covariance import leading_spectrum, principal_axes, spectrum


@pytest.mark.parametrize("chunk", [7, 10_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_spectrum_is_that_of_the_covariance(images, dtype, chunk, monkeypatch):
    monkeypatch.setattr(covariance, "CHUNK", chunk)
    expected = np.linalg.eigvalsh(np.cov(images.flatten(1).numpy().T))[::-1]
    np.testing.assert_allclose(spectrum((images + 5).to(dtype)).numpy(), expected, rtol=2e-4)


@pytest.fixture(scope="module", params=["grey digits", "binary digits", "colour"])
def scaled(request, colour_patches) -> tuple[torch.Tensor, covariance.Scale]:
    """Images, and what maps them to the values that models are trained on."""
    return (colour_patches, lambda x: x) if request.param == "colour" else digits(request.param == "binary digits")


def digits(is_binary: bool) -> tuple[torch.Tensor, covariance.Scale]:
    data = small_data(train=1_500, binarize="dynamic" if is_binary else "none")
    data.setup()
    return data.sets["train"].images, lambda chunk: data.scale(chunk, drawn=True)


def test_the_rates_of_a_linear_model_from_leading_eigenvalues_are_those_from_all(scaled, monkeypatch):
    monkeypatch.setattr(covariance, "EXACT_PIXELS", 100)
    monkeypatch.setattr(covariance, "CHUNK", 1_000)
    every = spectrum(*scaled)
    for latent in (2, 20, 100):
        found = leading_spectrum(scaled[0], latent, scaled[1])
        noise = float(every[latent:].mean())
        assert found.pixels == len(every)
        assert found.rest(latent) / (len(every) - latent) == pytest.approx(noise, rel=1e-4)
        for beta in (0.25, 1.0, 4.0):
            expected = linear_rates(every[:latent], noise, beta)
            torch.testing.assert_close(linear_rates(found.leading, noise, beta), expected, rtol=0, atol=1e-4)
            assert int((found.leading > beta * noise).sum()) == int((every[:latent] > beta * noise).sum())


def test_the_leading_axes_of_64_x_64_x_3_are_eigenvectors():
    """Of 300 images, whose products with each other have the same eigenvalues as the covariance."""
    torch.manual_seed(0)
    weights = torch.randn(300, 300, dtype=torch.float64) * torch.arange(1, 301) ** -0.7
    images = (weights @ torch.randn(300, 12_288, dtype=torch.float64)).view(300, 3, 64, 64)
    found = principal_axes(images, 20)
    x = images.flatten(1) - images.flatten(1).mean(0)
    expected = torch.linalg.eigvalsh(x @ x.T / 299).flip(0)
    torch.testing.assert_close(found.spectrum.leading, expected[:20], rtol=1e-5, atol=0)
    assert found.spectrum.total == pytest.approx(float(expected.sum()), rel=1e-9)
    torch.testing.assert_close(found.axes.T @ found.axes, torch.eye(20, dtype=torch.float64))
    images_of_axes = x.T @ (x @ found.axes) / 299
    error = (images_of_axes - found.axes * found.spectrum.leading).norm(dim=0) / found.spectrum.leading
    assert float(error.max()) < 0.01


def test_nothing_is_left_beyond_the_rank_of_the_images():
    torch.manual_seed(0)
    images = (torch.randn(500, 3) @ torch.randn(3, 1_200)).view(500, 3, 20, 20)
    found = leading_spectrum(images, 5)
    assert found.rest(5) == 0
    assert found.rest(2) > 0
    assert float(found.leading[3]) < 1e-6 * float(found.leading[0])


@pytest.mark.parametrize("exact_pixels", [100, 1_000])
def test_pixels_that_are_drawn_are_the_same_in_every_pass_and_whatever_was_drawn_before(monkeypatch, exact_pixels):
    monkeypatch.setattr(covariance, "EXACT_PIXELS", exact_pixels)
    pixels, scale = digits(is_binary=True)
    first = leading_spectrum(pixels, 5, scale)
    torch.rand(3)
    assert torch.equal(leading_spectrum(pixels, 5, scale).leading, first.leading)


def test_the_training_images_spectrum_is_computed_once_and_of_some_images_where_they_are_many(monkeypatch):
    from vaelab.data import datamodule

    calls = []
    monkeypatch.setattr(datamodule, "SPECTRUM_IMAGES", 50)
    monkeypatch.setattr(
        datamodule,
        "leading_spectrum",
        lambda images, *rest: calls.append(len(images)) or leading_spectrum(images, *rest),
    )
    data = small_data()
    data.setup()
    first = data.spectrum(3)
    assert data.spectrum(3) is first
    assert calls == [256]
    monkeypatch.setattr(covariance, "EXACT_PIXELS", 100)
    data.spectrum(4)
    assert calls == [256, 50]
