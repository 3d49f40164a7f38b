//! A fake LLM provider for tests and benchmarks: OpenAI-compatible, scripted, with an append-only bill.
