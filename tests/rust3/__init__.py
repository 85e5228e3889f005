"""A program that plays version 3 of hammerwork (Rust): its statements, in our words, from the facts about it."""
