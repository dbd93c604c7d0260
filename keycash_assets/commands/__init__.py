"""What the ``keycash`` commands do; ``cli.py`` is their surface."""
