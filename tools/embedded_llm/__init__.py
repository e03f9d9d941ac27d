"""How the embedded code LLM is made: corpus, tokenizer, training, export, evaluation."""
