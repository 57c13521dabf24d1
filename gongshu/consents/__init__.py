"""Consent of the subject (个人同意): given at the desk, proved by a token that gateways read offline, withdrawn at any time."""
