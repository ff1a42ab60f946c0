"""Training data: photos decoded once into a memory-mapped file, and aligned random crops of them."""
