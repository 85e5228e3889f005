"""What the verbs of ``spawn`` find out about whole trees."""
