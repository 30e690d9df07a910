"""Damaged and differently saved notebooks, and zips as each platform packs them.

Everything is made from a release by recipe when the tests run, so that nothing here goes stale.
"""
