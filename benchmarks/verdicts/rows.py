"""The rows of the benchmark: words → claim. A limit is a contract; a row without one only shows what such data do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product

from benchmarks.verdicts import noises
from benchmarks.verdicts.claims import (
    Claim,
    any_equal_differs,
    best_is_covered,
    difference_is_detected,
    first_is_apart,
    reference_may_be_best,
)
from benchmarks.verdicts.studies import Design, Disturbance

Claims = dict[str, Claim]
Shares = Mapping[tuple[str, str], float]

# (device, domain), each with a meter of its own.
_GPU, _OTHER_GPU = ("gpu0", "gpu"), ("gpu1", "gpu")
_PACKAGE, _DRAM = ("package0", "cpu"), ("package0", "ram")
_MIXES: Mapping[str, tuple[Shares, Shares]] = {
    "1 against 2 boards": ({_GPU: 1.0}, {_GPU: 0.5, _OTHER_GPU: 0.5}),
    "GPU/CPU 95/5 against 75/25": ({_GPU: 0.95, _PACKAGE: 0.05}, {_GPU: 0.75, _PACKAGE: 0.25}),
    "RAPL package/DRAM 90/10 against 75/25": ({_PACKAGE: 0.90, _DRAM: 0.10}, {_PACKAGE: 0.75, _DRAM: 0.25}),
}
# From replicate to replicate, where a process holds one experiment.
_REPLICATE_SD = 0.005
_FALSE = "equal ones differ"


def gains() -> Claims:
    """Equal configurations whose joules are read by different meters, or by the same in different shares."""
    claims = {}
    for mix, (one, other) in _MIXES.items():
        for replicates, (kind, second) in product((10, 3), (("2 setups", "1.0"), ("1 setup", "0.1"))):
            setups = 2 if second == "1.0" else 1
            design = Design(setups, 3 - setups, replicates, 0.0, _REPLICATE_SD, shares={"0.0": one, second: other})
            claims[f"{mix}, {kind}, n = {replicates}: {_FALSE}"] = Claim(design, any_equal_differs, at_most=0.05)
    return claims


def equal_shares() -> Claims:
    """Where both experiments burn the same shares, gains cancel, and a difference is detected as without gains."""
    claims = {}
    names = ("2 boards", "GPU/CPU 75/25", "RAPL package/DRAM 75/25")
    for mix, (_, shares) in zip(names, _MIXES.values(), strict=True):
        design = Design(2, 1, 10, effects={"1.0": 1.02}, shares={"0.0": shares, "1.0": shares})
        claims[f"{mix} in both setups, n = 10: a true 2 % is detected"] = Claim(design, difference_is_detected)
    return claims


def unequal_scatter() -> Claims:
    """Equal configurations; the reference scatters more than the others."""
    claims = {}
    for factor, replicates, (setups, settings) in product((3.0, 10.0), (3, 5, 10), ((2, 4), (8, 1))):
        plain = Design(setups, settings, replicates)
        designs = {"setup": replace(plain, setup_spread={0: factor})}
        if settings > 1:
            designs["own runs"] = replace(plain, spread={"0.0": factor})
        for whose, design in designs.items():
            words = f"{setups}x{settings}, the reference's {whose} with {factor:.0f}x the scatter, n = {replicates}"
            claims[f"{words}: {_FALSE}"] = Claim(design, any_equal_differs, at_most=0.06, times=4)
    return claims


def blocks() -> Claims:
    """A pair of setups measured in blocks, ten replicates: with a true difference of 2 %, and without."""
    pair = Design(2, 1, 10)
    designs = {f"block s.d. {sd:.0%}": replace(pair, block_sd=sd) for sd in (0.0, 0.01, 0.02, 0.05)}
    designs["drift of 10 %"] = replace(pair, drift=0.10)
    claims = {}
    for words, design in designs.items():
        different = replace(design, effects={"1.0": 1.02})
        claims[f"a pair of setups, {words}, n = 10: a true 2 % is detected"] = Claim(
            different, difference_is_detected, at_least=0.85
        )
        claims[f"a pair of setups, {words}, n = 10: {_FALSE}"] = Claim(design, any_equal_differs, at_most=0.06)
    return claims


def suspects() -> Claims:
    """A true difference of 3 %; one replicate of an unrelated experiment was disturbed."""
    claims = {}
    for where, effects in (("in the reference's setup", {"0.1": 1.03}), ("in the other setup", {"1.0": 1.03})):
        clean = Design(2, 4, 5, effects=effects)
        suspect = replace(clean, disturbances=(Disturbance("1.2", 3, 1.3),))
        unnoticed = replace(clean, disturbances=(Disturbance("1.2", 3, 1.3, "valid"),))
        required = 0.95 if effects.keys() == {"0.1"} else None
        end = f"a true 3 % {where} is detected"
        claims[f"2x4, n = 5, a suspect replicate x1.3 elsewhere: {end}"] = Claim(
            suspect, difference_is_detected, at_least=required
        )
        claims[f"2x4, n = 5, x1.3 elsewhere that nothing noticed: {end}"] = Claim(unnoticed, difference_is_detected)
        claims[f"2x4, n = 5, nothing disturbed: {end}"] = Claim(clean, difference_is_detected)
    return claims


def winners() -> Claims:
    """The interval of the experiment that is named best, where all are equal."""
    claims = {}
    for (setups, settings), replicates in product(((8, 1), (50, 1), (1, 8), (10, 5)), (3, 10)):
        claims[f"{setups}x{settings} equal ones, n = {replicates}: the best one's interval covers the truth"] = Claim(
            Design(setups, settings, replicates), best_is_covered, at_least=0.94 if settings == 1 else None
        )
    return claims


def best_sets() -> Claims:
    """The set of those that may be the best, and whether the first is called distinguishable, where all are equal."""
    claims = {}
    for (setups, settings), replicates in product(((2, 1), (1, 2), (8, 1)), (3, 10)):
        design, words = Design(setups, settings, replicates), f"{setups}x{settings} equal ones, n = {replicates}"
        claims[f"{words}: the first is called distinguishable from all others"] = Claim(
            design, first_is_apart, at_most=0.06
        )
        claims[f"{words}: one that is as good as any may be the best"] = Claim(
            design, reference_may_be_best, at_least=0.93
        )
    return claims


def missing_replicates() -> Claims:
    """Equal configurations; some replicates of the reference failed."""
    patterns = {"lacks 1 of 3": (3, {2}), "has 2 of 5": (5, {1, 3, 4}), "has 1 of 5": (5, {1, 2, 4, 5})}
    claims = {}
    for (words, (replicates, missing)), shape in product(patterns.items(), ((1, 6), (1, 20), (2, 3), (4, 5))):
        design = Design(*shape, replicates, missing={"0.0": frozenset(missing)})
        claims[f"{shape[0]}x{shape[1]}, the reference {words} replicates: {_FALSE}"] = Claim(
            design, any_equal_differs, at_most=0.06
        )
    return claims


def hurting() -> Claims:
    """Data that the model does not describe."""
    shapes = {
        "tails of t with 3 df": noises.heavy_tailed,
        "exponential scatter": noises.exponential,
        "lognormal scatter": noises.lognormal,
        "20 % in another mode": noises.bimodal,
        "AR(1) with 0.6": noises.autoregressive(0.6),
    }
    claims = {}
    for (words, noise), replicates in product(shapes.items(), (3, 10)):
        design = Design(2, 4, replicates, noise=noise)
        claims[f"2x4, {words}, n = {replicates}: {_FALSE}"] = Claim(design, any_equal_differs)
    for order in ("blocked", "fixed", "sequential"):
        design = Design(2, 4, 5, drift=0.10, order=order)
        claims[f"2x4, drift of 10 %, {order} order, n = 5: {_FALSE}"] = Claim(design, any_equal_differs)
    for setups, settings in ((2, 4), (8, 1), (1, 2)):
        claims[f"{setups}x{settings}, n = 2: {_FALSE}"] = Claim(Design(setups, settings, 2), any_equal_differs)
    return claims


CLAIMS: Claims = {
    **gains(),
    **equal_shares(),
    **unequal_scatter(),
    **blocks(),
    **suspects(),
    **winners(),
    **best_sets(),
    **missing_replicates(),
    **hurting(),
}
