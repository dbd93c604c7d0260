"""What SQL cannot be told in SQL about a record's text."""

NESTING_READ_EXACTLY = 64
"""Levels of nesting in a record down to which a member is found in its text.

Beyond it a fractional ``credito_solicitado`` in the same record is a problem, never a guess.
"""

_STRING = r'"(?:[^"\\]|\\.)*"'
_CONTAINER = rf'[\[{{](?:{_STRING}|[^"\[\]{{}}])*[\]}}]'
for _ in range(NESTING_READ_EXACTLY - 1):
    _CONTAINER = rf'[\[{{](?:{_STRING}|[^"\[\]{{}}]|{_CONTAINER})*[\]}}]'

MEMBER_OF_AN_OBJECT = rf'{_STRING}\s*:\s*({_STRING}|[^"\[\]{{}},\s]+|{_CONTAINER})'
"""Regular expression (RE2) of one member of a valid JSON object, its value as group 1.

Matched again and again from the start of an object it finds its members one by one, in the order of
DuckDB's ``json_keys``: a match takes in a whole value, so the next begins at the next member.
"""
