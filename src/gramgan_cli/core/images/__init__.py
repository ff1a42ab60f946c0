"""Photographs: decoding to numpy with everything that must be kept, and encoding it again."""
