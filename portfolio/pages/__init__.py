"""The pages people trade on: each loads through the user, calls one verb or read, and answers."""
