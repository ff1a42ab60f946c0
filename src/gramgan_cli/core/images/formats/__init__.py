"""One file per picture format: what it can hold, how it is read and written."""
