"""Watches the covariates of prompts for shift that harms; knows arrays, never a prompt or gRPC."""
