"""The part that needs torch: models, training, quantization, export."""
