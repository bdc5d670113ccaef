"""Reading and writing what networks look at: photographs now."""
