"""Who travels from where to where: matrices, zones, gravity, travellers as columns."""
