"""Watches the covariates of prompts for shift that harms; knows arrays and numbers, never a prompt or gRPC."""
