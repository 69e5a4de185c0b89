"""HuBERT k-means units."""
