"""The environment variables through which the acceptance passes a part what it needs."""

from __future__ import annotations

# The JSON file that it writes its answers to.
FIGURES = "LLENERGYMEASURE_ACCEPTANCE_FIGURES"
# In how many seconds it will be killed.
ENDS_IN = "LLENERGYMEASURE_ACCEPTANCE_ENDS_IN_S"
# The folder for what is worth keeping beside the JSON.
OUT = "LLENERGYMEASURE_ACCEPTANCE_OUT"
