"""Predictors from measurements: from scratch, or from another predictor."""
