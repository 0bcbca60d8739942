"""From kernels to milliseconds, in nn-Meter 2.0's steps."""
