"""The benchmarks behind the figures in docs/performance.md."""
