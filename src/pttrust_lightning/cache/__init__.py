"""The state store: schema, shard writer, manifest, reader."""
