"""What quantization does to a model's answers, measured on labelled pictures."""
