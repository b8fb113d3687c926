"""Benchmarks: what is measured is said in docs/performance.md."""
