"""What is installed on this machine, what is wrong with it, and the one command that mends it."""
