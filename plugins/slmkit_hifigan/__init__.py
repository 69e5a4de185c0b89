"""The unit HiFi-GAN vocoder."""
