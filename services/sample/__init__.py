"""The sample: content to look at, which goes and comes back as a whole, and on which the platform's own tests run."""
