"""How a study is measured: plan, manager and worker, warm-up, calibration, windows."""
