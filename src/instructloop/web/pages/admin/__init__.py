"""The pages of the administration, one module for each section."""
