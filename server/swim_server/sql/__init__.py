"""Databases through SQLAlchemy, for keys and for ADL tables alike: engines, pools, retries, errors."""
