"""What stands behind scores of independence: cross-fitted predictors, dependence between pairs, codes whose truth is known."""
