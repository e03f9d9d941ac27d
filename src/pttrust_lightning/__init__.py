"""PtTrust Lightning: line-level risk assessment for code LLMs from their internal states.

Method: Huang, Ma, Nishikino, Akazaki, "Risk Assessment Framework for Code LLMs via Leveraging Internal States",
arXiv 2504.14640 (FSE 2025 industry track).
"""

__version__ = "0.1.0"
