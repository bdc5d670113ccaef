"""Model families in PyTorch, each with its importer of published checkpoints. Needs torch."""
