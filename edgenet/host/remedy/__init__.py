"""What can be done where int8 hurts, each a step from one candidate to a better one.

``ladder.remedied`` climbs them, cheapest first; docs/remedies.md says what each does.
"""
