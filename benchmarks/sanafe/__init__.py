"""The chip beside SANA-FE: `python -m benchmarks.sanafe`."""
