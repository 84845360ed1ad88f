"""What happens when things go wrong: kills, faults, bad inputs, corruption; `make torture` prints one table of them."""
