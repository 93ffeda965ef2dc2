"""Backup of a service's keys, history and configuration in one file: made while it runs, restored while it is
stopped.
"""
