"""Stages that every recipe can use."""
