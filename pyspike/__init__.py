"""pyspike runs spiking neural networks exactly, with integer additions only."""
