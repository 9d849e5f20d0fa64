"""The live loop: a source gives frames, a classifier answers each."""
