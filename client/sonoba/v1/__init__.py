"""Generated messages and stubs of the contract, version 1."""
