"""Pure formulas: tensors in, tensors out; the formula stands in the docstring."""
