"""How others do it, each written as its own documentation does, in an environment of its own."""
