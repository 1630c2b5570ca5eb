"""A second host of the engine: a warehouse. It has nothing to do with expenses."""
