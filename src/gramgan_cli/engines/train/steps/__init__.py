"""One iteration of training, and the loss terms that it adds up."""
