"""Pretrained encoders of Hugging Face's transformers: their files, architecture and features."""
