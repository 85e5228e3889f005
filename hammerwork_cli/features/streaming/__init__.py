"""``hammerwork streaming``: sends events to Kafka, Kinesis, Pub/Sub or a program."""
