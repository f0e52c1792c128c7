"""Scatter that no analysis expects: each noise has mean 0 and standard deviation 1."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.verdicts.studies import Floats, Noise

HEAVY_DF = 3


def heavy_tailed(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Student's t with 3 degrees of freedom."""
    return rng.standard_t(HEAVY_DF, shape) / math.sqrt(HEAVY_DF / (HEAVY_DF - 2))


def exponential(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return rng.standard_exponential(shape) - 1


def lognormal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Of a normal with standard deviation 1."""
    return (rng.lognormal(0, 1, shape) - math.exp(0.5)) / math.sqrt((math.e - 1) * math.e)


def bimodal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """One draw in five is in another mode, five standard deviations of the first away."""
    share, distance = 0.2, 5.0
    draws = rng.standard_normal(shape) + distance * (rng.random(shape) < share)
    return (draws - share * distance) / math.sqrt(1 + share * (1 - share) * distance**2)


def autoregressive(phi: float) -> Noise:
    """Each replicate remembers the one before: AR(1) over the last axis."""

    def noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        draws = rng.standard_normal(shape)
        for replicate in range(1, shape[-1]):
            draws[..., replicate] = phi * draws[..., replicate - 1] + math.sqrt(1 - phi**2) * draws[..., replicate]
        return draws

    return noise
