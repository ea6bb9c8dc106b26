"""Static traffic: user equilibrium, system optimum, gaps and lower bounds."""
