"""Backup of a service's keys, history and configuration: one file, made while the service runs, restored while it
stops.
"""
