"""What each quantization method needs of a machine, by the import names that the library tests (transformers 5.23).

The library says most of it itself, some only in the first forward pass (fp8), some as a bare ModuleNotFoundError.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping
from importlib import metadata

from transformers.utils import is_kernels_available

from llenergymeasure.config.settings.parameter import Requirement
from llenergymeasure.engine.loading.quantizers import BITSANDBYTES
from llenergymeasure.engine.machine import missing

_KERNELS = Requirement(package="kernels", pip="kernels")
_ANY_GPU = Requirement(cuda_capability=(0, 0))
NEEDS: Mapping[str, tuple[Requirement, ...]] = {
    BITSANDBYTES: (Requirement(package="bitsandbytes", pip="bitsandbytes"),),
    "aqlm": (Requirement(package="aqlm", pip="aqlm[cpu,gpu]"),),
    "auto-round": (Requirement(package="auto_round", pip="auto-round"),),
    "awq": (Requirement(package="gptqmodel", pip="gptqmodel"),),
    "compressed-tensors": (Requirement(package="compressed_tensors", pip="compressed-tensors"),),
    "eetq": (_KERNELS, _ANY_GPU),
    "fbgemm_fp8": (Requirement(package="fbgemm_gpu", pip="fbgemm-gpu", cuda_capability=(9, 0)),),
    "fouroversix": (Requirement(package="fouroversix", pip="fouroversix"),),
    "fp8": (_KERNELS, Requirement(cuda_capability=(8, 9))),
    "fp_quant": (Requirement(package="fp_quant", pip="fp-quant"), Requirement(package="qutlass"), _ANY_GPU),
    "gptq": (Requirement(package="gptqmodel", pip="gptqmodel"), Requirement(package="optimum.gptq", pip="optimum")),
    "higgs": (Requirement(package="flute", pip="flute-kernel"), _ANY_GPU),
    "hqq": (Requirement(package="hqq", pip="hqq"),),
    "metal": (_KERNELS,),
    "mxfp4": (_KERNELS, Requirement(package="triton", pip="triton", cuda_capability=(7, 5))),
    "mxfp8": (_KERNELS, Requirement(cuda_capability=(8, 9))),
    "nvfp4": (_KERNELS, Requirement(cuda_capability=(10, 0))),
    "quanto": (Requirement(package="optimum.quanto", pip="optimum-quanto"),),
    "quark": (Requirement(package="quark", pip="amd-quark"),),
    "sinq": (Requirement(package="sinq", pip="sinq"),),
    "spqr": (Requirement(package="spqr_quant", pip="spqr-quant"), _ANY_GPU),
    "torchao": (Requirement(package="torchao", pip="torchao"),),
    "vptq": (Requirement(package="vptq", pip="vptq"), _ANY_GPU),
}
# Without these a checkpoint still loads: the library dequantizes it, which the evidence shows.
_OPTIONAL = {"kernels", "triton"}


def lacking(method: str) -> Iterator[str]:
    """What this machine lacks for a method, each in words: what is needed, and what is there."""
    for need in NEEDS.get(_family(method), ()):
        said = missing(need, True)
        if said is not None:
            yield f"{need.need()}, and {said}"
        elif need.package == "kernels" and not is_kernels_available():
            yield f"needs the package kernels in another version than {metadata.version('kernels')}, which is here"


def missing_package(method: str) -> str | None:
    """A package without which the library cannot read a checkpoint of that method; None where all are there."""
    for need in NEEDS.get(_family(method), ()):
        package = Requirement(package=need.package, pip=need.pip)
        if need.package is not None and need.package not in _OPTIONAL and missing(package, True) is not None:
            return f"{method} {package.need()}, which is not installed here"
    return None


def import_packages(method: str) -> None:
    """Import what the library imports for a method; a package that is not there is reported by the library."""
    for need in NEEDS.get(_family(method), ()):
        if need.package is not None:
            with contextlib.suppress(ImportError):
                importlib.import_module(need.package)


def _family(method: str) -> str:
    return BITSANDBYTES if method.startswith(BITSANDBYTES) else method
