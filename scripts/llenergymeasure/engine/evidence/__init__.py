"""Evidence: what was requested, what was effective, how that was seen.

Each parameter names its probe where it is declared; this package holds the probes. A probe looks at the model in
memory and at an instrumented pass, never at the configuration, and reports what it saw.
"""

from llenergymeasure.engine.evidence import (
    generation_probes,
    load_probes,
    parallel_probes,
    prompt_probes,
    quantization_probes,
    sampler_probes,
)
from llenergymeasure.engine.evidence.checkpoint_weights import checkpoint_warnings
from llenergymeasure.engine.evidence.model_choices import choice_warnings
from llenergymeasure.engine.evidence.natural_ends import speculation_warnings
from llenergymeasure.engine.evidence.observe import Observation, observe
from llenergymeasure.engine.evidence.registry import PROBES, ProbeResult, collect, worst_evidence
from llenergymeasure.engine.evidence.sampler_probes import is_sampled

__all__ = [
    "PROBES",
    "Observation",
    "ProbeResult",
    "checkpoint_warnings",
    "choice_warnings",
    "collect",
    "generation_probes",
    "is_sampled",
    "load_probes",
    "observe",
    "parallel_probes",
    "prompt_probes",
    "quantization_probes",
    "sampler_probes",
    "speculation_warnings",
    "worst_evidence",
]
