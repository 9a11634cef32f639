"""Intermediate representation: instructions over numbered values, described by records of named fields."""
