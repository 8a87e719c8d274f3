"""Audits as a person meets them: functions, results, sentences, report."""
