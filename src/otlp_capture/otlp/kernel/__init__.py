"""The compiled walk over protobuf bytes, where it is built.

Source: docs/wire.md.
"""
