"""Canonical archives, signatures and trust: everything here knows bytes, not workflows.

Nothing is imported with the package itself, so that reading an archive, a wheel or a JSON text
does not pay for loading ``cryptography``; import the module that is needed.
"""
