"""The simulated chip: configuration, mapping of networks to cores, firmware images, energy, and the simulator's front.

docs/chip.md is the chip, cycle by cycle; docs/firmware.md the image that programs it.
"""
