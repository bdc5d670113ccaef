"""Runtimes that are raced: one file a peer, each run in a process of its own (`benchmarks.peers.protocol`).

A peer's file has `load(options) -> run`, where `run(x)` does one whole inference on uint8 [1, 3, H, W] and returns the
arrays that come out, and ends by `serve(load)`. Whatever takes long and is no part of running (calibration,
conversion) is done before, in other processes, by `benchmarks.peers.prepare`.
"""
