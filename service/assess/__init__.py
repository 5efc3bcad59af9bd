"""`sonoba assess`: representative prompts, stable answers, changed conditions, and a decision."""
