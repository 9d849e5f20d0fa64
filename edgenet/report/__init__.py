"""Text, JSON, CSV and HTML of what profile and drift measured."""
