"""Speed, measured: `python -m benchmarks` runs every file here; each also runs by itself."""
